"""Chats as a list shows them, their history, and what one does with a whole chat."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.operation import Operation, RouteAddress, Success, Value
from gateway.contract.paging import Paged, between
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Chat, OmitIfNone, Wire

_PHONE = "5511999999999"
_MAX_NOTE_LENGTH = 5_000
_MAX_MESSAGES = 100
_NOTE = {
    "id": "KlesU6f4",
    "content": "Call back on Monday",
    "createdAt": 1767225600000,
    "lastUpdateAt": 1767225600000,
}

TextFlag = Literal["true", "false"]
"""A boolean that Z-API spells as a text."""


def text_flag(value: bool) -> TextFlag:  # noqa: FBT001 - the value itself
    return "true" if value else "false"


class ChatNote(Wire):
    """The notes of this gateway about a chat; times in milliseconds."""

    id: str
    content: str
    created_at: int
    last_update_at: int


class ChatSummary(Wire):
    """A chat in the list.

    `lastMessageTime` counts seconds; `muteEndTime` milliseconds, -1 for ever. `messagesUnread`
    repeats `unread`, as a number.
    """

    phone: str
    name: str | None = OmitIfNone
    unread: str
    last_message_time: str
    is_muted: Literal["0", "1"]
    mute_end_time: int | None = OmitIfNone
    is_marked_spam: TextFlag = "false"
    archived: TextFlag
    pinned: TextFlag
    is_group_announcement: bool = False
    is_group: bool
    profile_thumbnail: str | None = OmitIfNone
    notes: ChatNote | None = OmitIfNone
    tags: tuple[str, ...] = ()
    messages_unread: int


_SHOWN = {
    "phone": _PHONE,
    "name": "Ana Lima",
    "unread": "2",
    "lastMessageTime": "1767225600",
    "isMuted": "0",
    "isMarkedSpam": "false",
    "archived": "false",
    "pinned": "true",
    "isGroupAnnouncement": False,
    "isGroup": False,
    "notes": _NOTE,
    "tags": ["1"],
    "messagesUnread": 2,
}


class ListChats(Operation[tuple[ChatSummary, ...]], Paged, method="GET", path="/chats"):
    """The chats: those that are pinned, then the latest first.

    Pages stay put while messages arrive: the order is that of the first page, for ten minutes.
    """

    scope = ApiScope.READ
    example: ClassVar[Example] = {"page": 1, "pageSize": 20}
    example_minimal: ClassVar[Example] = {"page": 1, "pageSize": 20}
    answer_example: ClassVar[Any] = [_SHOWN]


class ChatDetails(ChatSummary):
    """A chat, with what the contact shows in its profile."""

    about: str | None = OmitIfNone


class ReadChat(
    Operation[ChatDetails],
    method="GET",
    path="/chats/{phone}",
    also=(RouteAddress("GET", "/chat/{phone}"),),
):
    """One chat; a number never written with has an empty one."""

    scope = ApiScope.READ
    example: ClassVar[Example] = {"phone": _PHONE}
    answer_example: ClassVar[Any] = {**_SHOWN, "about": "At work"}

    phone: Chat


class ListMessages(
    Operation[tuple[dict[str, Any], ...]], method="GET", path="/chat-messages/{phone}"
):
    """Messages of a chat that passed through here, the latest first, as callbacks show them.

    `lastMessageId` is the last one already read. Names, pictures and states are those of now; links
    to stored files are new. A message that this version cannot read has `error` for its content.
    """

    scope = ApiScope.READ
    example: ClassVar[Example] = {"phone": _PHONE, "amount": 10}
    example_minimal: ClassVar[Example] = {"phone": _PHONE}
    answer_example: ClassVar[Any] = [
        {
            "type": "ReceivedCallback",
            "instanceId": "3C67AB641C8AA0412F6A2242B4E23AC7",
            "messageId": "3EB0577D10A2B4C6D8E9F1",
            "phone": _PHONE,
            "chatLid": "81896604192873@lid",
            "connectedPhone": "5511888888888",
            "fromMe": False,
            "fromApi": False,
            "isGroup": False,
            "isNewsletter": False,
            "waitingMessage": False,
            "momment": 1767225600000,
            "status": "RECEIVED",
            "chatName": "Ana",
            "photo": "https://example.com/picture.jpg",
            "senderName": "Ana",
            "senderLid": "81896604192873@lid",
            "senderPhoto": "https://example.com/picture.jpg",
            "broadcast": False,
            "text": {"message": "Good morning"},
        }
    ]

    phone: Chat
    amount: Annotated[int, BeforeValidator(between(1, _MAX_MESSAGES))] = 10
    last_message_id: str | None = None


ChatAction = Literal[
    "read", "unread", "archive", "unarchive", "pin", "unpin", "mute", "unmute", "clear", "delete"
]


class ModifyChat(Operation[Value], method="POST", path="/modify-chat"):
    """Reads, archives, pins, mutes, clears or deletes a chat."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"phone": _PHONE, "action": "read"}
    answer_example: ClassVar[Any] = {"value": True}

    phone: Chat
    action: Annotated[ChatAction, ANY_CASE]


class UnreadMessage(Wire):
    """An unread message, by WhatsApp's id; `sender` wrote it."""

    id: str
    sender: str | None = None


class NewestMessage(UnreadMessage):
    """The newest message of a chat; `sent_at` is in seconds."""

    from_me: bool
    sent_at: int


class TouchChat(Operation[Value]):
    """Executed by the session: the same change on the phone.

    To read a chat comes with what is unread in it. WhatsApp wants to know up to which message a
    chat is changed: the newest one, as far as the gateway has one.
    """

    phone: str
    action: ChatAction
    unread: tuple[UnreadMessage, ...] = ()
    newest: NewestMessage | None = None


ModifyChat.session_operation = TouchChat


class SetChatExpiration(Operation[Value], method="POST", path="/send-chat-expiration"):
    """Lets new messages of a chat disappear after a while."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"phone": _PHONE, "chatExpiration": "90_DAYS"}
    answer_example: ClassVar[Any] = {"value": True}
    failures = (503,)

    phone: Chat
    chat_expiration: Annotated[Literal["24_HOURS", "7_DAYS", "90_DAYS", "OFF"], ANY_CASE]


SetChatExpiration.session_operation = SetChatExpiration


class SetNote(Operation[Success], method="POST", path="/chats/{phone}/notes"):
    """Writes something down about a chat; an empty text removes it."""

    scope = ApiScope.SEND
    example: ClassVar[Example] = {"phone": _PHONE, "notes": "Call back on Monday"}

    phone: Chat
    notes: Annotated[str, Field(max_length=_MAX_NOTE_LENGTH)]
