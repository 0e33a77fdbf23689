"""Handles the search for chats: by name or number, with the last message of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.contract.handlers import Handlers
from gateway.contract.internal.chat_search import ChatPage, FoundChat, SearchChats
from gateway.contract.known import KnownMessage
from gateway.contract.send import readable_text_of
from gateway.contract.spellings import is_group
from gateway.database.payload_seal import Unopened
from gateway.database.queries import query
from gateway.directory.context import DirectoryContext
from gateway.observability.error_reports import report_error

_SEARCH_CHATS = query("directory", "search_chats")
_LAST_MESSAGES = query("directory", "last_messages")

_SHOWN_CHARACTERS = 120
_MASK = str.maketrans("", "", "+-(). ")

handlers = Handlers[DirectoryContext]()


@dataclass(frozen=True, slots=True)
class _Chat:
    phone: str
    name: str | None
    unread: int
    last_message_at: datetime
    pinned: bool
    muted: bool
    archived: bool
    total: int
    with_unread: int


@dataclass(frozen=True, slots=True)
class _Last:
    phone: str
    from_me: bool
    type: str
    payload: Mapping[str, Any]


@handlers.handles(SearchChats)
async def search_chats(context: DirectoryContext, operation: SearchChats) -> ChatPage:
    """Finds names that are encrypted at rest only by the number of their chat."""
    digits = operation.search.translate(_MASK)
    rows = await context.database.fetch_all(
        _Chat,
        _SEARCH_CHATS,
        instance_id=context.instance.id,
        search=operation.search,
        digits=digits if digits.isdigit() else "",
        unread_only=operation.unread_only,
        limit=operation.page_size,
        offset=(operation.page - 1) * operation.page_size,
    )
    last = await _last_messages(context, [row.phone for row in rows])
    return ChatPage(
        total=rows[0].total if rows else 0,
        unread=rows[0].with_unread if rows else 0,
        chats=tuple(_found(row, last.get(row.phone)) for row in rows),
    )


async def _last_messages(context: DirectoryContext, phones: list[str]) -> Mapping[str, _Last]:
    if not phones:
        return {}
    rows = await context.database.fetch_all(
        _Last, _LAST_MESSAGES, instance_id=context.instance.id, phones=phones
    )
    return {row.phone: row for row in rows}


def _found(chat: _Chat, last: _Last | None) -> FoundChat:
    return FoundChat(
        phone=chat.phone,
        name=chat.name,
        unread=chat.unread,
        last_message_at=chat.last_message_at.astimezone(UTC),
        pinned=chat.pinned,
        muted=chat.muted,
        archived=chat.archived,
        is_group=is_group(chat.phone),
        last_text=_text_of(last) if last else None,
        last_type=last.type if last else None,
        last_from_me=last.from_me if last else False,
    )


def _text_of(last: _Last) -> str | None:
    """Returns the beginning of what a message says; None where it says nothing to be read."""
    if isinstance(last.payload, Unopened):
        return None
    known = KnownMessage("", "", last.phone, None, last.from_me, last.type, last.payload)
    try:
        text = readable_text_of(known)
    except ValueError as error:  # one row must not fail the page
        report_error(error, component="history", message_type=last.type)
        return None
    return text[:_SHOWN_CHARACTERS] if text else None
