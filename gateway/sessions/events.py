"""The events that a provider reports, and their stored form.

A person is named by a phone number, or by an `...@lid` while only the lid is known. A field that
ends in `_lid` holds the lid of the same person if both are known. Ids of messages are the
provider's. Times have a time zone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Base64Bytes, Field, TypeAdapter

from gateway.contract.callbacks import NotificationCode
from gateway.contract.zapi.chats import ChatAction
from gateway.sessions.connection import ConnectionState

StoredBytes = Base64Bytes
"""Bytes in an event; base64 in its stored form."""


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """The session connected, disconnected, or changed its state in another way.

    The first event of a session reports its state now. A provider does not report a state again
    once another one has followed. `reason` replaces the sentence of the state. A provider that
    learns the lid of the linked phone later reports it as `IdentityLearned`.
    """

    state: ConnectionState
    at: datetime
    phone: str | None = None
    reason: str | None = None
    lid: str | None = None
    event: Literal["connection"] = "connection"


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """A file of a message that is not downloaded yet.

    `field` is the path in the content where its URL goes, such as `image.imageUrl` or
    `carouselMessage.cards.0.header.image.imageUrl`. `source` is a URL, a `data:` URI or base64.
    Without a source, the session downloads the file by its `reference` (`ReadReceivedFile`), now
    or days later.
    """

    field: str
    source: str | None = None
    reference: StoredBytes = b""
    file_name: str | None = None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message came in, or the owner of the number wrote one on another device (`from_me`).

    `content` is the part of a ReceivedCallback that depends on the kind, such as
    `{"text": {"message": "hi"}}`; `kind` is its key. `refers_to` is the id of the message that a
    reaction, an edit, a pin, an answer to an event or a vote is about. The gateway fills in that
    message's own id, chat and author. A message that WhatsApp cannot decrypt yet `is_waiting` and
    has no content; the provider reports it again under the same id when it can be read.
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
    """A chat in the list that the phone sends; None where the list says nothing."""

    chat: str
    last_message_at: datetime
    chat_lid: str | None = None
    name: str | None = None
    unread: int | None = None


@dataclass(frozen=True, slots=True)
class HistoryReceived:
    """Messages from before the phone was linked, or from while no session was open.

    They go to history and have no callbacks. They count as unread only if their chat says so.
    """

    messages: tuple[MessageReceived, ...]
    at: datetime
    chats: tuple[HistoryChat, ...] = ()
    event: Literal["history"] = "history"


Acknowledgement = Literal["sent", "delivered", "read", "played", "read_by_me"]


@dataclass(frozen=True, slots=True)
class MessageAcknowledged:
    """Messages reached a new state. The event may arrive before `send` returns.

    In a group, `by` is the person who received, read or played them. With `read_by_me`, the owner
    read messages of other people on the device `device` of the number; 0 is the phone.
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
    """A change that is not a message: of a group, a channel, a payment, the profile or labels.

    `by` is the person who made it. `parameters` are people, names or sums in Z-API's order; None
    if the code has none. `details` are the other keys of the code (`requestMethod`, `linkMode`,
    `profileName`, `updatedPhoto`). A deletion (`REVOKE`) refers to the deleted message.
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
    """A person calls, or hung up before the call was answered."""

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
    """A person in a chat came online, went offline, or is writing."""

    chat: str
    status: Literal["available", "unavailable", "composing", "recording", "paused"]
    at: datetime
    chat_lid: str | None = None
    last_seen: datetime | None = None
    event: Literal["presence"] = "presence"


@dataclass(frozen=True, slots=True)
class ChatModified:
    """The owner archived, pinned, muted, read, cleared or deleted a chat on another device."""

    chat: str
    action: ChatAction
    at: datetime
    chat_lid: str | None = None
    event: Literal["chat"] = "chat"


@dataclass(frozen=True, slots=True)
class PictureChanged:
    """A person has another profile picture, or none any more.

    Changes of the account's own picture and of a group's are `Notified`.
    """

    chat: str
    at: datetime
    chat_lid: str | None = None
    event: Literal["picture"] = "picture"


@dataclass(frozen=True, slots=True)
class IdentityLearned:
    """The provider learned that a lid and a phone are one person, or the name of a person."""

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
    | ChatModified
    | PictureChanged
    | IdentityLearned
)
"""What a provider may report. The gateway decides above the port which callbacks follow."""

_events: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def stored_event(event: Event) -> dict[str, Any]:
    """Returns the event as JSON without NUL characters, which Postgres cannot store."""
    stored: dict[str, Any] = _without_nul(_events.dump_python(event, mode="json"))
    return stored


def event_from(stored: Mapping[str, Any]) -> Event:
    """Returns the event of a stored form."""
    return _events.validate_python(stored)


def _without_nul(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    match value:
        case str():
            return value.replace("\0", "")
        case dict():
            return {_without_nul(k): _without_nul(item) for k, item in value.items()}
        case list():
            return [_without_nul(item) for item in value]
        case _:
            return value
