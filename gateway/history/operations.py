"""Handles operations that read the state of messages."""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.contract.extensions.history import FindMessage, ListHistory, MessagePage, MessageRecord
from gateway.contract.handlers import Handlers
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import InvalidRequest, NotFound
from gateway.history.states import MessageState
from gateway.identities.people import names_of

_FIND_MESSAGE = query("history", "find_message")
_LIST_MESSAGES = query("history", "list_messages")
_LIST_MESSAGES_OF_CHAT = query("history", "list_messages_of_chat")


class Identified(Protocol):
    """An instance; history needs only its id."""

    @property
    def id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class HistoryContext:
    """What the handlers work with; *message_id_named* returns the messageId for either id."""

    database: Database
    message_id_named: Callable[[str], str]
    instance: Identified

    @property
    def instance_id(self) -> str:
        return self.instance.id


handlers = Handlers[HistoryContext]()


@handlers.handles(FindMessage)
async def read_message(context: HistoryContext, operation: FindMessage) -> MessageRecord:
    message_id = context.message_id_named(operation.message_id)
    return MessageRecord(
        **(await find_message(context.database, context.instance_id, message_id)).shown()
    )


@handlers.handles(ListHistory)
async def list_messages(context: HistoryContext, operation: ListHistory) -> MessagePage:
    before, before_id = _read_cursor(operation.paging_state)
    names = operation.phone and await names_of(
        context.database, context.instance_id, operation.phone
    )
    rows = await context.database.fetch_all(
        MessageState,
        _LIST_MESSAGES_OF_CHAT if names else _LIST_MESSAGES,
        instance_id=context.instance_id,
        phones=names and names.every,
        track_id=operation.track_id,
        status=operation.status,
        before=before,
        before_id=before_id,
        limit=operation.page_size + 1,
        **{"from": operation.since, "to": operation.until},
    )
    page, more = rows[: operation.page_size], len(rows) > operation.page_size
    return MessagePage(
        messages=tuple(MessageRecord(**row.shown()) for row in page),
        paging_state=_make_cursor(page[-1]) if more else None,
        has_more=more,
    )


async def find_message(database: Database, instance_id: str, message_id: str) -> MessageState:
    """Raises NotFound if the instance has no such message."""
    found = await database.fetch_one(
        MessageState, _FIND_MESSAGE, instance_id=instance_id, message_id=message_id
    )
    if found is None:
        raise NotFound("Message not found")
    return found


def _make_cursor(last: MessageState) -> str:
    return base64.urlsafe_b64encode(
        f"{last.recorded_at.isoformat()} {last.message_id}".encode()
    ).decode()


def _read_cursor(cursor: str | None) -> tuple[datetime | None, str | None]:
    if not cursor:
        return None, None
    try:
        time, _, message_id = base64.urlsafe_b64decode(cursor.encode()).decode().partition(" ")
        before = datetime.fromisoformat(time)
    except (ValueError, binascii.Error):
        raise InvalidRequest(
            "pagingState: must be the value that the page before returned"
        ) from None
    if before.tzinfo is None or "\x00" in message_id:
        raise InvalidRequest("pagingState: must be the value that the page before returned")
    return before, message_id
