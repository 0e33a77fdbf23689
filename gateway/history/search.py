"""Searches the queue and the history of an instance: two lists, merged by time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, cast

from psycopg.sql import SQL

from gateway.contract.extensions.history import (
    STATUSES,
    WAITING_STATUSES,
    MessagePage,
    MessageRecord,
    SearchMessages,
)
from gateway.contract.handlers import Handlers
from gateway.database.cursors import read_places, write_cursor
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import NotFound
from gateway.history.operations import HistoryContext, find_message
from gateway.history.states import MessageState
from gateway.identities.people import names_of

_SEARCH_FINAL = query("message_search", "search_final")
_SEARCH_FINAL_OF_CHAT = query("message_search", "search_final_of_chat")
_SEARCH_WAITING = query("message_search", "search_waiting")
_END_OF_FINAL = query("message_search", "end_of_final")
_END_OF_WAITING = query("message_search", "end_of_waiting")

_MAX_EXAMINED: Final = 5_000
_MAX_SEQUENCE_NUMBER: Final = 2**63 - 1
_LAST_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC)

handlers = Handlers[HistoryContext]()


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The places of the last messages that were seen, of the queue and of the history."""

    sequence_number: int = _MAX_SEQUENCE_NUMBER
    recorded_at: datetime = _LAST_TIME
    message_id: str = ""

    @classmethod
    def read(cls, text: str | None) -> "_Cursor":
        if not text:
            return cls()
        number, time, message_id = read_places(text, int, datetime, str)
        return cls(cast("int", number), cast("datetime", time), cast("str", message_id))

    def after(self, message: MessageState) -> "_Cursor":
        if message.settled:
            return replace(self, recorded_at=message.recorded_at, message_id=message.message_id)
        return replace(self, sequence_number=message.sequence_number or 0)

    @property
    def text(self) -> str:
        return write_cursor(self.sequence_number, self.recorded_at, self.message_id)


@dataclass(frozen=True, slots=True)
class _FinalEnd:
    recorded_at: datetime
    message_id: str


@dataclass(frozen=True, slots=True)
class _WaitingEnd:
    sequence_number: int
    created_at: datetime


@dataclass(slots=True)
class _Stream:
    """Messages of one list, newest first, and where the list goes on after them.

    *end* is the time and the cursor of the last message that was examined; None at the end of the
    list, or where the messages say it themselves.
    """

    messages: list[MessageState] = field(default_factory=list)
    end: tuple[datetime, _Cursor] | None = None

    @property
    def next_time(self) -> datetime | None:
        """The time of its next message, or that no further one is newer than; None at its end."""
        if self.messages:
            return _time_of(self.messages[0])
        return self.end[0] if self.end else None


def _time_of(message: MessageState) -> datetime:
    return message.recorded_at if message.settled else message.created_at


@handlers.handles(SearchMessages)
async def search_messages(context: HistoryContext, operation: SearchMessages) -> MessagePage:
    if operation.id is not None:
        return await _page_of_one(context, operation.id)
    cursor = _Cursor.read(operation.paging_state)
    phones = (
        operation.phone
        and (await names_of(context.database, context.instance_id, operation.phone)).every
    )
    search = _Search(context, operation, cursor, phones or None)
    return _merged([await search.waiting(), await search.final()], cursor, operation.page_size)


async def _page_of_one(context: HistoryContext, name: str) -> MessagePage:
    try:
        found = await find_message(
            context.database, context.instance_id, context.message_id_named(name)
        )
    except NotFound:
        return MessagePage(messages=(), paging_state=None, has_more=False)
    return MessagePage(messages=(_record(found),), paging_state=None, has_more=False)


def _merged(streams: Sequence[_Stream], cursor: _Cursor, page_size: int) -> MessagePage:
    """Takes the newest message of all lists until the page is full.

    It stops early where the next message is in a part of a list that was not examined.
    """
    page: list[MessageState] = []
    while len(page) < page_size:
        unfinished = [(s.next_time, s) for s in streams if s.next_time is not None]
        if not unfinished:
            break
        newest = max(unfinished, key=lambda each: each[0])[1]
        if not newest.messages:
            break
        page.append(newest.messages.pop(0))
        cursor = cursor.after(page[-1])
    has_more = any(stream.next_time is not None for stream in streams)
    for stream in streams:
        if not stream.messages and stream.end:
            cursor = _further(cursor, stream.end[1])
    return MessagePage(
        messages=tuple(map(_record, page)),
        paging_state=cursor.text if has_more else None,
        has_more=has_more,
    )


def _further(one: _Cursor, other: _Cursor) -> _Cursor:
    """Returns the cursor that is further in each list."""
    recorded_at, message_id = min(
        (one.recorded_at, one.message_id), (other.recorded_at, other.message_id)
    )
    return _Cursor(min(one.sequence_number, other.sequence_number), recorded_at, message_id)


def _record(message: MessageState) -> MessageRecord:
    return MessageRecord(**message.shown())


@dataclass(frozen=True, slots=True)
class _Search:
    context: HistoryContext
    operation: SearchMessages
    cursor: _Cursor
    phones: Sequence[str] | None

    async def waiting(self) -> _Stream:
        """Returns the next messages of the queue."""
        status = self.operation.status
        if status in STATUSES:
            return _Stream()
        states = None if status in (None, "waiting") else [status]
        window = {
            "instance_id": self.context.instance_id,
            "before": self.cursor.sequence_number,
            "max_examined": _MAX_EXAMINED,
        }
        rows = await self._fetch(
            self.context.database, _SEARCH_WAITING, states, phones=self.phones, **window
        )
        if self._has_enough(rows):
            return _Stream(rows)
        end = await self.context.database.fetch_one(_WaitingEnd, _END_OF_WAITING, **window)
        since = self.operation.since
        if end is None or (since is not None and end.created_at < since):
            return _Stream(rows)
        after = replace(self.cursor, sequence_number=end.sequence_number)
        return _Stream(rows, (end.created_at, after))

    async def final(self) -> _Stream:
        """Returns the next messages of the history and failed ones of the queue."""
        status = self.operation.status
        if status == "waiting" or status in WAITING_STATUSES:
            return _Stream()
        states = None if status is None else [status]
        place = {
            "instance_id": self.context.instance_id,
            "before": self.cursor.recorded_at,
            "before_id": self.cursor.message_id,
        }
        if self.phones is not None:
            # With one plan for all chats, Postgres would read all messages of the instance.
            each_time = self.context.database.planned_each_time()
            return _Stream(
                await self._fetch(
                    each_time, _SEARCH_FINAL_OF_CHAT, states, phones=self.phones, **place
                )
            )
        window = {**place, "max_examined": _MAX_EXAMINED if states else self._limit}
        rows = await self._fetch(self.context.database, _SEARCH_FINAL, states, **window)
        if states is None or self._has_enough(rows):
            return _Stream(rows)
        end = await self.context.database.fetch_one(
            _FinalEnd, _END_OF_FINAL, **window, **self._span
        )
        if end is None:
            return _Stream(rows)
        after = replace(self.cursor, recorded_at=end.recorded_at, message_id=end.message_id)
        return _Stream(rows, (end.recorded_at, after))

    @property
    def _limit(self) -> int:
        return self.operation.page_size + 1

    @property
    def _span(self) -> dict[str, datetime | None]:
        return {"from": self.operation.since, "to": self.operation.until}

    def _has_enough(self, rows: list[MessageState]) -> bool:
        return len(rows) >= self._limit

    async def _fetch(
        self,
        database: Database,
        statement: SQL,
        states: list[str] | None,
        **parameters: object,
    ) -> list[MessageState]:
        return await database.fetch_all(
            MessageState, statement, **parameters, **self._span, states=states, limit=self._limit
        )
