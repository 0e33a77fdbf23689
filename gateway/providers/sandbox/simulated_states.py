"""Bodies of the control routes that simulate calls, presence, receipts and other states."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, StringConstraints, model_validator

from gateway.contract.spellings import is_group
from gateway.contract.wire import Chat
from gateway.contract.zapi.chats import ChatAction
from gateway.providers.sandbox.bodies import ControlBody
from gateway.sessions.provider import (
    Acknowledgement,
    CallChanged,
    ChatModified,
    Event,
    IdentityLearned,
    MessageAcknowledged,
    PresenceChanged,
)

Lid = Annotated[str, StringConstraints(pattern=r"^[0-9]{5,25}@lid$")]
Id = Annotated[str, StringConstraints(min_length=1, max_length=255)]

MAX_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of an event, and a new id for it."""

    at: datetime
    new_id: str


class SimulatedEventBody(ControlBody):
    """The body of a control route that simulates an event."""

    def event(self, moment: Moment) -> Event:
        raise NotImplementedError


class CallBody(SimulatedEventBody):
    """A call that is offered or was missed."""

    phone: Chat
    lid: Lid | None = None
    call_id: Id | None = None
    status: Literal["offered", "missed"] = "offered"
    video: bool = False
    caller_name: str | None = None

    def event(self, moment: Moment) -> CallChanged:
        return CallChanged(
            call_id=self.call_id or moment.new_id,
            chat=self.phone,
            status=self.status,
            is_video=self.video,
            at=moment.at,
            chat_lid=self.lid,
            caller_name=self.caller_name,
        )


class PresenceBody(SimulatedEventBody):
    """A change of a contact's presence."""

    phone: Chat
    lid: Lid | None = None
    status: Literal["available", "unavailable", "composing", "recording", "paused"]
    last_seen: AwareDatetime | None = None

    def event(self, moment: Moment) -> PresenceChanged:
        return PresenceChanged(self.phone, self.status, moment.at, self.lid, self.last_seen)


class ModifiedChatBody(SimulatedEventBody):
    """What the owner does with a chat on the phone."""

    phone: Chat
    action: ChatAction
    lid: Lid | None = None

    def event(self, moment: Moment) -> ChatModified:
        return ChatModified(self.phone, self.action, moment.at, self.lid)


class ReceiptBody(SimulatedEventBody):
    """A receipt for messages; in a group, `by` is the member."""

    phone: Chat
    lid: Lid | None = None
    message_ids: Annotated[list[Id], Field(min_length=1, max_length=MAX_AT_ONCE)]
    status: Acknowledgement
    by: Chat | None = None
    by_lid: Lid | None = None
    device: int = 0

    @model_validator(mode="after")
    def _by_only_in_groups(self) -> "ReceiptBody":
        if self.by and not is_group(self.phone):
            raise ValueError("by is only for groups")
        return self

    def event(self, moment: Moment) -> MessageAcknowledged:
        return MessageAcknowledged(
            provider_message_ids=self.message_ids,
            chat=self.phone,
            status=self.status,
            at=moment.at,
            by=self.by,
            chat_lid=self.lid,
            by_lid=self.by_lid,
            device=self.device,
        )


class PictureBody(ControlBody):
    """The new picture of a simulated person; without a `url` the person has none any more."""

    phone: Chat
    url: Annotated[str, StringConstraints(min_length=1, max_length=2_048)] | None = None


class IdentityBody(SimulatedEventBody):
    """The phone and name that belong to a LID."""

    lid: Lid
    phone: Chat | None = None
    name: str | None = None

    def event(self, moment: Moment) -> IdentityLearned:
        return IdentityLearned(self.lid, moment.at, self.phone, self.name)
