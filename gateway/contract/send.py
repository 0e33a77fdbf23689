"""The base class of messages: a subclass with a path declares a message type."""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Documented, Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.known import KnownMessage, assumed_message
from gateway.contract.limits import Limit
from gateway.contract.media import holds_files
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Chat, DelaySeconds, ExpirySeconds, FutureTime, Person, Wire

STORED_VERSION = 1
"""Version of the stored form of messages; raised only where older code cannot read it."""


class Priority(IntEnum):
    """The three lanes of a queue, served 4:2:1 while all have work."""

    HIGH = 0
    NORMAL = 1
    BULK = 2


def _parse_priority(value: object) -> object:
    if isinstance(value, str) and value.upper() in Priority.__members__:
        return Priority[value.upper()]
    if isinstance(value, int) and not isinstance(value, bool) and value in set(Priority):
        return Priority(value)  # the stored form
    raise PydanticCustomError("priority", "must be high, normal or bulk")


_MAX_TRACK_ID_LENGTH = 256

TrackId = Annotated[str, Field(min_length=1, max_length=_MAX_TRACK_ID_LENGTH)]
"""The caller's own reference for a message, as requests filter by it."""

_PRIORITY_SCHEMA = {"type": "string", "enum": [lane.name.lower() for lane in Priority]}
PriorityName = Annotated[
    Priority, BeforeValidator(_parse_priority), WithJsonSchema(_PRIORITY_SCHEMA)
]


def _none_if_empty(value: object) -> object:
    return None if value == "" else value


class OutgoingMessage(Documented):
    """A message that callers send. A subclass with a path is a route, one without is a base class.

    Each type, or its base class, declares `echo` and `limits`; `tests/contract` checks that, and
    that each type has a golden stored form.
    """

    path: ClassVar[str | None] = None
    also: ClassVar[tuple[str, ...]] = ()
    """Further paths at which real clients post it."""
    carries_media: ClassVar[bool] = False
    """Whether it may name a file, which makes a large body possible."""
    limits: ClassVar[tuple[Limit, ...]] = ()
    """WhatsApp's limits beyond the constraints of the fields; checked where a request comes in."""
    number_fields: ClassVar[tuple[str, ...]] = ("phone",)
    """The fields that name people by their number; providers get them as WhatsApp knows them."""
    scope: ClassVar[ApiScope] = ApiScope.SEND
    """The right that a caller needs."""
    is_forwarded: ClassVar[bool] = False
    is_status_reply: ClassVar[bool] = False

    phone: Chat
    delay_message: DelaySeconds = Field(None, description="seconds to wait before it, 1 to 15")
    delay_typing: DelaySeconds = Field(None, description='seconds of "typing...", 1 to 15')
    scheduled_for: FutureTime | None = Field(None, description="not before; up to 90 days ahead")
    expires_at: FutureTime | None = Field(
        None,
        exclude=True,
        description="not sent after this time: it fails as expired; up to 180 days ahead",
    )
    expires_in: ExpirySeconds = Field(
        None,
        exclude=True,
        description="the same, in seconds from acceptance, 1 to 15552000; not with expiresAt",
    )
    priority: PriorityName = Field(Priority.NORMAL, json_schema_extra={"default": "normal"})
    track_id: Annotated[TrackId | None, BeforeValidator(_none_if_empty)] = Field(
        None,
        description="a reference of your own, which comes back in callbacks, the queue and the "
        "history; at most 256 characters, readable also where content is encrypted",
    )

    def __init_subclass__(cls, *, path: str | None = None, also: tuple[str, ...] = ()) -> None:
        super().__init_subclass__()
        cls.path, cls.also = path, also

    @classmethod
    def __pydantic_init_subclass__(cls, **_keywords: Any) -> None:  # noqa: ANN401 - pydantic's own
        cls.carries_media = holds_files(cls)

    @classmethod
    def kind(cls) -> str:
        """The stable name of the type in stored rows, such as `send-text`."""
        assert cls.path is not None
        return cls.path.lstrip("/").partition("/")[0]

    def echo(self, context: EchoContext) -> Content | None:
        """The content of the ReceivedCallback that `notifySentByMe` asks for.

        None where the message shows nothing that a callback could describe.
        """
        raise NotImplementedError

    def limit_violations(self) -> Iterator[str]:
        """A sentence for each of WhatsApp's limits that the message exceeds."""
        for limit in self.limits:
            yield from limit.violations(self)

    def edited_id(self) -> str | None:
        """The id of the sent message whose content this one replaces."""
        return None

    def replied_id(self) -> str | None:
        """The id of the message that this one quotes."""
        return None

    def readable_text(self) -> str | None:
        """The text that a list of messages shows: its text or caption."""
        return None

    def document_name(self, _own_name: str | None = None) -> str | None:
        """The name under which its file is shown; without the caller's, the file's own name."""
        return None

    def with_document_name(self, _own_name: str) -> Self:
        """The same message, which remembers the file's own name if the caller gives none."""
        return self

    def link_to_preview(self) -> str | None:
        """The link whose page is to be shown above it."""
        return None

    def referred_ids(self) -> tuple[str, ...]:
        """Ids of the earlier messages that this one names."""
        return ()

    def assumed(self, _message_id: str) -> KnownMessage | None:
        """What the request says of an earlier message that the gateway does not know.

        None where that is too little for WhatsApp: the content or the author is needed.
        """
        return None

    def without_quote(self) -> Self | None:
        """The same message as no reply; None where it makes no sense without the earlier one."""
        return None

    def needed_ids(self) -> tuple[str, ...]:
        """Ids of the earlier messages without which it cannot be sent."""
        unknown = tuple(each for each in self.referred_ids() if not self.assumed(each))
        if not unknown or not self.without_quote():
            return unknown
        return tuple(each for each in unknown if each != self.replied_id())

    def numbers(self) -> tuple[str, ...]:
        """The phone numbers that it names, the recipient's first; no group, lid or channel."""
        found: dict[str, None] = {}  # without generators: each send of a message asks for them
        for name in self.number_fields:
            given = getattr(self, name) or ()
            for text in (given,) if isinstance(given, str) else given:
                if text.isdigit():
                    found[text] = None
        return tuple(found)

    def with_numbers(self, numbers: Mapping[str, str]) -> Self:
        """Returns the message with other spellings of its numbers; it may be the same object."""
        changed = {}
        for name in self.number_fields:
            given = getattr(self, name)
            if given is None:
                continue
            named = (
                numbers.get(given, given)
                if isinstance(given, str)
                else tuple(numbers.get(each, each) for each in given)
            )
            if named != given:
                changed[name] = named
        return self.model_copy(update=changed) if changed else self


MessageId = Annotated[str, Field(min_length=1, max_length=255)]
"""The id of an earlier message, sent or received."""

NoMessageId = Annotated[MessageId | None, BeforeValidator(_none_if_empty)]
"""An optional id of an earlier message; an empty text counts as none."""


class AboutMessage(OutgoingMessage):
    """A message about an earlier one, which the gateway may not know.

    Z-API keeps ids for its customers; an id from there, or of a message whose history was deleted,
    is used as it is.
    """

    owner: bool | None = Field(
        None,
        description="whether this instance sent the message that `messageId` names; counts where "
        "the gateway does not know it, and is false if absent",
    )
    participant_phone: Person | None = Field(
        None,
        description="who wrote that message, in a group; counts where the gateway does not know it",
    )
    number_fields: ClassVar[tuple[str, ...]] = ("phone", "participant_phone")

    def assumed(self, message_id: str) -> KnownMessage | None:
        return assumed_message(
            message_id, self.phone, owner=self.owner, author=self.participant_phone
        )


class Reply(AboutMessage):
    """A message that may answer an earlier one."""

    message_id: NoMessageId = Field(None, description="the message it answers")

    def without_quote(self) -> Self | None:
        return self.model_copy(update={"message_id": None})

    def referred_ids(self) -> tuple[str, ...]:
        return (self.message_id,) if self.message_id else ()

    def replied_id(self) -> str | None:
        return self.message_id


class QueuedMember(Wire):
    """The message to one member of a broadcast list, or why the queue did not take it."""

    phone: str
    zaap_id: str | None = None
    message_id: str | None = None
    error: str | None = None


class Queued(Wire):
    """The answer to every accepted message."""

    zaap_id: str
    message_id: str
    id: str
    scheduled_for: FutureTime | None = None
    status: str | None = Field(None, description="how far it came, with `Prefer: wait=20`")
    error: str | None = None
    messages: tuple[QueuedMember, ...] | None = Field(
        None, description="of a broadcast list, one for each member"
    )

    example: ClassVar[Example] = {
        "zaapId": "4A6F0B3D92C1E8577D10A2B4C6D8E9F1",
        "messageId": "3EB0577D10A2B4C6D8E9F1",
        "id": "3EB0577D10A2B4C6D8E9F1",
    }


def declared_sends(
    family: type[OutgoingMessage] = OutgoingMessage,
) -> Iterator[type[OutgoingMessage]]:
    """Every message type with a path, however deep its family."""
    for subclass in family.__subclasses__():
        if subclass.path is not None:
            yield subclass
        yield from declared_sends(subclass)


def message_of_kind(kind: str) -> type[OutgoingMessage] | None:
    """The message type that is stored under *kind*; None for a received message's kind."""
    return next((declared for declared in declared_sends() if declared.kind() == kind), None)


def readable_text_of(known: KnownMessage) -> str | None:
    """The text or caption of an earlier message, where the history has it."""
    if known.is_assumed:
        return None
    if declared := message_of_kind(known.type):
        return declared.model_validate(known.payload).readable_text()
    content = known.payload.get(known.type)
    if not isinstance(content, dict):
        return None
    text = content.get("message") or content.get("caption")
    return text if isinstance(text, str) else None
