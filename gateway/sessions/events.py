"""What a session tells: WhatsApp's facts, and how they are kept until callers are told of them.

A person is a phone number, or an `...@lid` where only that is known; a field that ends in `_lid`
holds the lid of the same person where both are known. Ids are the provider's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, Field, TypeAdapter

from gateway.contract.callbacks import NotificationCode
from gateway.sessions.connection import ConnectionState

StoredBytes = Base64Bytes
"""Bytes that an event carries; base64 while it is kept."""


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The session went up or down.

    The first event of a session is its present state, and only the newest counts: a state is
    not told again after it has passed.
    """

    state: ConnectionState
    at: datetime
    phone: str | None = None
    reason: str | None = None
    event: Literal["connection"] = "connection"


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file of a message, not fetched yet.

    `field` is where its URL belongs in the content, such as `image.imageUrl` or
    `carouselMessage.cards.0.header.image.imageUrl`. `source` is a URL, a `data:` URI or base64;
    without one, `reference` is what the session needs to download it (`ReadReceivedFile`), now
    or in days.
    """

    field: str
    source: str | None = None
    reference: StoredBytes = b""
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """Somebody wrote to the number, or its owner wrote from the phone itself.

    `content` is the part of a ReceivedCallback that names the kind, such as
    `{"text": {"message": "hi"}}`; `kind` is its key. `refers_to` is the message that a reaction,
    an edit, a pin, an answer to an event or a vote speaks of; what that message is (its id, chat
    and author) is filled in above the port. A message that cannot be read yet `is_waiting`, with
    empty content; it comes again under the same id.
    """

    provider_message_id: str
    chat: str
    sender: str | None
    sender_name: str | None
    from_me: bool
    at: datetime
    kind: str
    content: Mapping[str, Any]
    quoted_provider_id: str | None = None
    refers_to: str | None = None
    is_edit: bool = False
    chat_lid: str | None = None
    sender_lid: str | None = None
    provider_data: StoredBytes | None = None
    chat_name: str | None = None
    photo: str | None = None
    sender_photo: str | None = None
    is_waiting: bool = False
    is_status_reply: bool = False
    is_forwarded: bool = False
    expiration_seconds: int | None = None
    files: tuple[ReceivedFile, ...] = ()
    event: Literal["message"] = "message"


@dataclass(frozen=True, slots=True)
class HistoryChat:
    """A chat as the phone lists it; None where it does not say."""

    chat: str
    last_message_at: datetime
    chat_lid: str | None = None
    name: str | None = None
    unread: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryReceived:
    """Messages from before the linking, or from while nobody listened; kept and not told.

    They count as unread only as far as their chat says so.
    """

    messages: tuple[MessageReceived, ...]
    at: datetime
    chats: tuple[HistoryChat, ...] = ()
    event: Literal["history"] = "history"


Acknowledgement = Literal["sent", "delivered", "read", "played", "read_by_me"]


@dataclass(frozen=True, slots=True)
class MessageAcknowledged:
    """Messages reached a further state; it may come before `send` returns.

    `by` is who got, read or played them, in a group. `read_by_me` speaks of messages others
    wrote, read on another device of the number; `device` is that device, 0 the phone.
    """

    provider_message_ids: Sequence[str]
    chat: str
    status: Acknowledgement
    at: datetime
    by: str | None = None
    chat_lid: str | None = None
    by_lid: str | None = None
    device: int = 0
    event: Literal["acknowledgement"] = "acknowledgement"


@dataclass(frozen=True, slots=True)
class Notified:
    """Something that is no message: in a group or channel, about money, the profile or labels.

    `by` is whose doing it was. `parameters` are people, names or sums as Z-API lists them; None
    where the code has none. `details` are its further keys (`requestMethod`, `linkMode`,
    `profileName`, `updatedPhoto`). A deletion (`REVOKE`) refers to the message that is gone.
    """

    code: NotificationCode
    chat: str
    at: datetime
    provider_message_id: str | None = None
    parameters: Sequence[str] | Sequence[Mapping[str, Any]] | None = ()
    details: Mapping[str, Any] | None = None
    by: str | None = None
    by_name: str | None = None
    by_lid: str | None = None
    chat_lid: str | None = None
    chat_name: str | None = None
    from_me: bool = False
    refers_to: str | None = None
    event: Literal["notification"] = "notification"


@dataclass(frozen=True, slots=True)
class CallChanged:
    """Somebody calls, or hung up before anybody answered."""

    call_id: str
    chat: str
    status: Literal["offered", "missed"]
    is_video: bool
    at: datetime
    chat_lid: str | None = None
    caller_name: str | None = None
    event: Literal["call"] = "call"


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """Somebody in a chat came, left, or writes."""

    chat: str
    status: Literal["available", "unavailable", "composing", "recording", "paused"]
    at: datetime
    chat_lid: str | None = None
    last_seen: datetime | None = None
    event: Literal["presence"] = "presence"


@dataclass(frozen=True, slots=True)
class IdentityLearned:
    """A lid and a phone are the same person, or a person has a name."""

    lid: str
    at: datetime
    phone: str | None = None
    name: str | None = None
    event: Literal["identity"] = "identity"


Event = (
    ConnectionChanged
    | MessageReceived
    | HistoryReceived
    | MessageAcknowledged
    | Notified
    | CallChanged
    | PresenceChanged
    | IdentityLearned
)
"""WhatsApp's facts; what callers are told of them is decided above the port."""

_events: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def stored_event(event: Event) -> dict[str, Any]:
    """The event as JSON; Postgres cannot keep NUL characters, so they are left out."""
    stored: dict[str, Any] = _without_nul(_events.dump_python(event, mode="json"))
    return stored


def event_from(stored: Mapping[str, Any]) -> Event:
    return _events.validate_python(stored)


def _without_nul(value: Any) -> Any:  # noqa: ANN401 - JSON is what it is
    match value:
        case str():
            return value.replace("\0", "")
        case dict():
            return {_without_nul(k): _without_nul(item) for k, item in value.items()}
        case list():
            return [_without_nul(item) for item in value]
        case _:
            return value
