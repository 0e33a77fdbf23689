"""The base class of messages: a subclass with a path declares a message type."""

from collections.abc import Iterator, Mapping
from enum import IntEnum
from typing import Annotated, Any, ClassVar, Self

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Documented, Example
from gateway.contract.echo import Content, EchoContext
from gateway.contract.limits import Limit
from gateway.contract.media import holds_files
from gateway.contract.wire import Chat, DelaySeconds, ExpirySeconds, FutureTime, Wire

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


_PRIORITY_SCHEMA = {"type": "string", "enum": [lane.name.lower() for lane in Priority]}
PriorityName = Annotated[
    Priority, BeforeValidator(_parse_priority), WithJsonSchema(_PRIORITY_SCHEMA)
]


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

    def numbers(self) -> tuple[str, ...]:
        """The phone numbers that it names, the recipient's first; no group, lid or channel."""
        named = (getattr(self, name) for name in self.number_fields)
        texts = (text for each in named for text in ((each,) if isinstance(each, str) else each))
        return tuple(dict.fromkeys(text for text in texts if text.isdigit()))

    def with_numbers(self, numbers: Mapping[str, str]) -> Self:
        """Returns the message with other spellings of its numbers."""
        changed = {}
        for name in self.number_fields:
            given = getattr(self, name)
            changed[name] = (
                numbers.get(given, given)
                if isinstance(given, str)
                else tuple(numbers.get(each, each) for each in given)
            )
        return self.model_copy(update=changed)


MessageId = Annotated[str, Field(min_length=1, max_length=255)]
"""The id of an earlier message, sent or received."""

NoMessageId = Annotated[
    MessageId | None, BeforeValidator(lambda value: None if value == "" else value)
]
"""An optional id of an earlier message; an empty text counts as none."""


class Reply(OutgoingMessage):
    """A message that may answer an earlier one."""

    message_id: NoMessageId = Field(None, description="the message it answers")

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
