"""Actions on a message: forward and pin are queued, read and delete are executed at once."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.known import KnownMessage, assumed_message
from gateway.contract.limits import Limit
from gateway.contract.operation import Operation, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.send import AboutMessage, MessageId, OutgoingMessage, message_of_kind
from gateway.contract.wire import Chat, Person


class ForwardMessage(OutgoingMessage, path="/forward-message"):
    """Forwards a message to another chat."""

    message_id: MessageId
    message_phone: Chat = Field(
        description="the chat it is in",
        validation_alias=AliasChoices("messagePhone", "fromPhone"),
    )

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "messageId": "3EB0577D10A2B4C6D8E9F1",
        "messagePhone": "5511888888888",
    }
    example: ClassVar[Example] = {**example_minimal, "delayMessage": 1}
    is_forwarded = True
    limits: ClassVar[tuple[Limit, ...]] = ()

    def referred_ids(self) -> tuple[str, ...]:
        return (self.message_id,)

    def echo(self, context: EchoContext) -> Content | None:
        """The content of the original; None where the history no longer has it."""
        original = context.referred.get(self.message_id)
        if original is None:
            return None
        declared = message_of_kind(original.type)
        if declared is None:
            return original.payload or None  # received: stored as the callback showed it
        sent = declared.model_validate(original.payload)
        return sent.echo(replace(context, message_id=original.message_id))


_MAX_READ_AT_ONCE = 100
_DURATION_SECONDS: Mapping[str, int] = {
    "24_hours": 24 * 3600,
    "7_days": 7 * 24 * 3600,
    "30_days": 30 * 24 * 3600,
}


class PinMessage(AboutMessage, path="/pin-message"):
    """Pins a message at the top of its chat, or unpins it."""

    message_id: MessageId
    message_action: Annotated[Literal["pin", "unpin"], ANY_CASE]
    pin_message_duration: Annotated[Literal["24_hours", "7_days", "30_days"], ANY_CASE] | None = (
        Field(None, description="required to pin", validate_default=True)
    )

    example_minimal: ClassVar[Example] = {
        "phone": "5511999999999",
        "messageId": "3EB0577D10A2B4C6D8E9F1",
        "messageAction": "unpin",
    }
    example: ClassVar[Example] = {
        **example_minimal,
        "messageAction": "pin",
        "pinMessageDuration": "7_days",
    }
    limits: ClassVar[tuple[Limit, ...]] = ()

    @field_validator("pin_message_duration")
    @classmethod
    def _needed_to_pin(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and info.data.get("message_action") == "pin":
            raise PydanticCustomError("missing", "is required")
        return value

    @property
    def pinned_seconds(self) -> int | None:
        """How long it stays pinned; None to unpin it."""
        if self.message_action == "unpin" or self.pin_message_duration is None:
            return None
        return _DURATION_SECONDS[self.pin_message_duration]

    def referred_ids(self) -> tuple[str, ...]:
        return (self.message_id,)

    def echo(self, context: EchoContext) -> Content | None:
        return {
            "pinMessage": {
                "action": self.message_action,
                "pinDurationInSecs": self.pinned_seconds,
                "referencedMessage": context.reference_to(self.message_id, self.phone),
            }
        }


_Author = Annotated[
    Person | None,
    Field(
        description="who wrote it; in a group needed for a message that the gateway does not know"
    ),
]


class ReadMessage(Operation[Value], method="POST", path="/read-message", answer_status=204):
    """Marks a received message as read, or several of one chat with `messageIds`."""

    scope = ApiScope.SEND
    audited = False  # daily traffic of a chat, one for each message
    phone: Chat
    message_ids: Annotated[tuple[MessageId, ...], Field(max_length=_MAX_READ_AT_ONCE)] = ()
    message_id: MessageId | None = Field(
        None, description="required without messageIds", validate_default=True
    )
    participant_phone: _Author = None

    def assumed(self, message_id: str) -> KnownMessage | None:
        """What the request says of a message that the gateway does not know."""
        return assumed_message(message_id, self.phone, owner=False, author=self.participant_phone)

    example: ClassVar[Example] = {"phone": "5511999999999", "messageId": "3EB0577D10A2B4C6D8E9F1"}

    @field_validator("message_id")
    @classmethod
    def _names_a_message(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None and not info.data.get("message_ids", ("wrong",)):
            raise PydanticCustomError("missing", "is required")
        return value

    @property
    def ids(self) -> tuple[str, ...]:
        """Every message that it names, each once."""
        single = (self.message_id,) if self.message_id else ()
        return tuple(dict.fromkeys((*single, *self.message_ids)))


class DeleteMessage(Operation[Value], method="DELETE", path="/messages", answer_status=204):
    """Deletes a message; one of this instance for everyone, or from the queue if it waits."""

    scope = ApiScope.SEND

    phone: Chat
    message_id: MessageId
    owner: bool = Field(description="true: sent by this instance; false: received")
    delete_for_me: bool = Field(
        default=False, description="deletes it on this number's own devices only"
    )
    unconfirmed = ("deleteForMe",)
    participant_phone: _Author = None

    def assumed(self, message_id: str) -> KnownMessage | None:
        """What the request says of a message that the gateway does not know."""
        return assumed_message(
            message_id, self.phone, owner=self.owner, author=self.participant_phone
        )

    example: ClassVar[Example] = {
        "phone": "5511999999999",
        "messageId": "3EB0577D10A2B4C6D8E9F1",
        "owner": True,
    }
    failures = (409,)


class Revoke(Operation[Value]):
    """Executed by the session: deletes a message from its chat."""

    target: KnownMessage


class Hide(Operation[Value]):
    """Executed by the session: deletes a message on this number's own devices only."""

    target: KnownMessage
