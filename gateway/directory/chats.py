"""Handlers of chats, and of groups in lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.clock import epoch_ms
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Success, Value
from gateway.contract.spellings import is_group
from gateway.contract.zapi.chats import (
    ChatDetails,
    ChatNote,
    ChatSummary,
    ListChats,
    ModifyChat,
    NewestMessage,
    ReadChat,
    SetNote,
    TouchChat,
    UnreadMessage,
    text_flag,
)
from gateway.contract.zapi.groups.group import (
    GroupMetadata,
    ListedGroup,
    ListGroups,
    ListJoinedGroups,
    ReadGroup,
    ReadGroupLight,
)
from gateway.database.queries import query
from gateway.directory.contacts import profile_of
from gateway.directory.context import DirectoryContext
from gateway.identities.people import ChatNames, names_of

_FIRST_PAGE = query("directory", "first_page_of_chats")
_FURTHER_PAGE = query("directory", "further_page_of_chats")
_FIND_CHATS = query("directory", "find_chats")
_MODIFY_CHAT = query("directory", "modify_chat")
_UNREAD_MESSAGES = query("directory", "unread_messages")
_NEWEST_MESSAGE = query("directory", "newest_message")
_SET_NOTE = query("directory", "set_note")
_NAMES_OF = query("directory", "names_of")

_LISTING_SECONDS = 600.0
_FOR_EVER = -1
_NOTE_ID_BYTES = 16
_MAX_UNREAD = 500

handlers = Handlers[DirectoryContext]()


@dataclass(frozen=True, slots=True)
class _Named:
    phone: str


@dataclass(frozen=True, slots=True)
class _Chat:
    phone: str
    name: str | None
    unread: int
    last_message_at: datetime
    archived: bool
    pinned: bool
    muted: bool
    note: str | None
    note_id: str | None
    note_created_at: datetime | None
    note_updated_at: datetime | None
    tags: Sequence[str]

    def fields(self) -> dict[str, Any]:
        return {
            "phone": self.phone,
            "name": self.name,
            "unread": str(self.unread),
            "last_message_time": str(int(self.last_message_at.timestamp())),
            "is_muted": "1" if self.muted else "0",
            "mute_end_time": _FOR_EVER if self.muted else None,
            "archived": text_flag(self.archived),
            "pinned": text_flag(self.pinned),
            "is_group": is_group(self.phone),
            "notes": self._shown_note(),
            "tags": tuple(self.tags),
            "messages_unread": self.unread,
        }

    def _shown_note(self) -> ChatNote | None:
        if not (self.note and self.note_id and self.note_created_at and self.note_updated_at):
            return None
        return ChatNote(
            id=self.note_id,
            content=self.note,
            created_at=epoch_ms(self.note_created_at),
            last_update_at=epoch_ms(self.note_updated_at),
        )


@dataclass(frozen=True, slots=True)
class _Unread:
    id: str
    sender: str | None


@dataclass(frozen=True, slots=True)
class _Newest(_Unread):
    from_me: bool
    at: datetime


@handlers.handles(ListChats)
async def list_chats(context: DirectoryContext, operation: ListChats) -> tuple[ChatSummary, ...]:
    """Keeps the order of the first page for ten minutes, so that no chat moves between pages."""
    if operation.page == 1:
        named = await context.database.fetch_all(
            _Named, _FIRST_PAGE, instance_id=context.instance.id, page_size=operation.page_size
        )
    else:
        named = await context.database.fetch_all(
            _Named,
            _FURTHER_PAGE,
            instance_id=context.instance.id,
            page=operation.page,
            page_size=operation.page_size,
            seconds=_LISTING_SECONDS,
        )
    chats = await _find(context, [row.phone for row in named])
    return tuple(ChatSummary(**chats[row.phone].fields()) for row in named if row.phone in chats)


@handlers.handles(ReadChat)
async def read_chat(context: DirectoryContext, operation: ReadChat) -> ChatDetails:
    shown = await profile_of(context, operation.phone)
    seen = {"profile_thumbnail": shown.picture, "about": shown.about}
    name = await _chat_of(context, operation.phone)
    if chat := (await _find(context, [name])).get(name):
        return ChatDetails(**chat.fields(), **seen)
    return ChatDetails(
        phone=operation.phone,
        name=shown.name,
        unread="0",
        last_message_time="0",
        is_muted="0",
        archived="false",
        pinned="false",
        is_group=is_group(operation.phone),
        messages_unread=0,
        **seen,
    )


@handlers.handles(ModifyChat)
async def modify_chat(context: DirectoryContext, operation: ModifyChat) -> Value:
    names = await names_of(context.database, context.instance.id, operation.phone)
    touch = TouchChat(
        phone=names.chat,
        action=operation.action,
        unread=await _unread(context, names) if operation.action == "read" else (),
        newest=await _newest(context, names),
    )
    await context.router.execute(context.instance, touch)
    await context.database.execute(
        _MODIFY_CHAT,
        instance_id=context.instance.id,
        phone=names.chat,
        action=operation.action,
        at=None,
    )
    return Value()


async def _unread(context: DirectoryContext, names: ChatNames) -> tuple[UnreadMessage, ...]:
    rows = await context.database.fetch_all(
        _Unread,
        _UNREAD_MESSAGES,
        instance_id=context.instance.id,
        phone=names.chat,
        names=names.every,
        max_count=_MAX_UNREAD,
    )
    return tuple(UnreadMessage(id=row.id, sender=row.sender) for row in rows)


async def _newest(context: DirectoryContext, names: ChatNames) -> NewestMessage | None:
    row = await context.database.fetch_one(
        _Newest, _NEWEST_MESSAGE, instance_id=context.instance.id, names=names.every
    )
    if row is None:
        return None
    at = int(row.at.timestamp())
    return NewestMessage(id=row.id, sender=row.sender, from_me=row.from_me, sent_at=at)


@handlers.handles(SetNote)
async def set_note(context: DirectoryContext, operation: SetNote) -> Success:
    await context.database.execute(
        _SET_NOTE,
        instance_id=context.instance.id,
        phone=await _chat_of(context, operation.phone),
        note=operation.notes or None,
        note_id=context.random_bytes(_NOTE_ID_BYTES).hex(),
    )
    return Success()


@handlers.handles(ListGroups)
async def list_groups(context: DirectoryContext, operation: ListGroups) -> tuple[ListedGroup, ...]:
    """Lists the newest group first, so that new messages do not change the order."""
    joined = await context.router.execute(context.instance, ListJoinedGroups())
    ordered = sorted(joined, key=lambda group: (-group.since_ms, group.phone))
    page = ordered[operation.offset : operation.offset + operation.page_size]
    chats = await _find(context, [group.phone for group in page])
    return tuple(
        _listed(group.phone, group.subject, group.since_ms, chats.get(group.phone))
        for group in page
    )


@handlers.handles(ReadGroup)
async def read_group(context: DirectoryContext, operation: ReadGroup) -> GroupMetadata:
    return await _with_names(context, await context.router.execute(context.instance, operation))


@handlers.handles(ReadGroupLight)
async def read_group_light(context: DirectoryContext, operation: ReadGroupLight) -> GroupMetadata:
    return await _with_names(context, await context.router.execute(context.instance, operation))


async def _with_names(context: DirectoryContext, group: GroupMetadata) -> GroupMetadata:
    """Shows saved contacts under their saved names."""
    saved = {
        row["phone"]: {"name": row["name"], "short": row["short"]}
        for row in await context.database.fetch_dicts(
            _NAMES_OF,
            instance_id=context.instance.id,
            phones=[each.phone for each in group.participants],
        )
    }
    people = tuple(
        each.model_copy(update=saved[each.phone]) if each.phone in saved else each
        for each in group.participants
    )
    return group.model_copy(update={"participants": people})


def _listed(phone: str, subject: str, since_ms: int, chat: _Chat | None) -> ListedGroup:
    if chat is None:
        return ListedGroup(phone=phone, name=subject, last_message_time=str(since_ms))
    return ListedGroup(
        phone=phone,
        name=subject,
        last_message_time=str(max(since_ms, epoch_ms(chat.last_message_at))),
        unread=str(chat.unread),
        messages_unread=str(chat.unread),
        is_muted="1" if chat.muted else "0",
        mute_end_time=str(_FOR_EVER) if chat.muted else None,
        archived=text_flag(chat.archived),
        pinned=text_flag(chat.pinned),
    )


async def _chat_of(context: DirectoryContext, phone: str) -> str:
    return (await names_of(context.database, context.instance.id, phone)).chat


async def _find(context: DirectoryContext, phones: list[str]) -> dict[str, _Chat]:
    rows = await context.database.fetch_all(
        _Chat, _FIND_CHATS, instance_id=context.instance.id, phones=phones
    )
    return {row.phone: row for row in rows}
