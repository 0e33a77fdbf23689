"""Searches other chats for an erased person, and removes the person from what they hold.

The search goes through every table that holds content, in small transactions that wait for no lock.
Its progress is a row, so that it survives a restart. A later pass finds what was derived meanwhile
from content that the first pass had not reached yet.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Protocol

import orjson
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from gateway.administration.erased_content import ErasedNames
from gateway.administration.sealed_tables import SealedTable
from gateway.administration.searched_tables import (
    QUEUE,
    SEARCHED,
    SearchedTable,
    erased,
    names_in,
    pattern_of,
)
from gateway.administration.table_pages import Changes, PageRow, read_page, write_page
from gateway.clock import Clock
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.payload_seal import PayloadSeal
from gateway.database.pool import Count, Database
from gateway.database.queries import query
from gateway.database.sealed_columns import Kind, is_unopened
from gateway.observability.logging import logger

_ADD_SEARCH = query("person_searches", "add_search")
_FIND_SEARCH = query("person_searches", "find_search")
_NEXT_SEARCH = query("person_searches", "next_search")
_STORE_POSITION = query("person_searches", "store_position")
_BEGIN_PASS = query("person_searches", "begin_pass")
_FINISH = query("person_searches", "finish")
_COUNT_IN_FLIGHT = query("person_searches", "count_in_flight")
_CANCEL_CARDS = query("person_searches", "cancel_cards")

_ROWS_AT_ONCE: Final = 200
_BUDGET_SECONDS: Final = 2.0


class EraseAgain(Protocol):
    """Erases what is stored of a person under these names; runs after a message was sent."""

    async def __call__(self, instance_id: str, names: Sequence[str]) -> object: ...


@dataclass(frozen=True, slots=True)
class _Search:
    instance_id: str
    names: Sequence[str]
    asked_at: datetime
    until_at: datetime
    pass_number: int
    position: Mapping[str, Any] | None
    changed: int
    canceled: int
    sending: bool

    @property
    def key(self) -> dict[str, Any]:
        names = list(self.names)
        return {"instance_id": self.instance_id, "names": names, "asked_at": self.asked_at}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pass goes on: after this key, in this table."""

    table: int = 0
    key: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Work:
    """What the rows of one page need: new content by row, and cards to cancel by id."""

    changes: Changes
    cards: Mapping[str, Any]


class PersonSearch:
    """Works off the searches for erased people; a maintenance task."""

    def __init__(
        self,
        database: Database,
        seal: PayloadSeal,
        clock: Clock,
        erase_again: EraseAgain,
        *,
        budget_seconds: float = _BUDGET_SECONDS,
        rows_at_once: int = _ROWS_AT_ONCE,
    ) -> None:
        """Prepares the task.

        Args:
            database: whose rows it changes.
            seal: the keys.
            clock: time.
            erase_again: erases a person to whom a message was being sent.
            budget_seconds: how long one run may take.
            rows_at_once: the rows of one page.
        """
        self._database = database.within(DatabaseDeadline.ERASURE)
        self._looking = self._database.planned_once()  # each second, and almost always in vain
        self._seal, self._clock, self._erase_again = seal, clock, erase_again
        self._budget_seconds, self._rows_at_once = budget_seconds, rows_at_once

    async def add(
        self, connection: AsyncConnection, instance_id: str, names: Sequence[str]
    ) -> None:
        """Orders the search in the transaction that erases the person."""
        await connection.execute(
            _ADD_SEARCH, {"instance_id": instance_id, "names": sorted(set(names))}
        )

    async def cancel_cards(self, instance_id: str, names: Sequence[str]) -> int:
        """Searches the queue at once, for as long as one run may take.

        Returns:
            How many waiting messages to other chats were canceled: they held the person's card.
        """
        stop_at = self._clock.monotonic_seconds() + self._budget_seconds
        search = await self._database.fetch_one(
            _Search, _FIND_SEARCH, instance_id=instance_id, names=sorted(set(names))
        )
        if search is None:
            return 0
        place: _Place | None = _Place()
        while place and place.table == 0 and self._clock.monotonic_seconds() < stop_at:
            search, place = await self._page(search, ErasedNames(search.names), place)
        await self._store(search, place or _Place())
        return search.canceled

    async def run(self) -> None:
        """Goes on with the searches for as long as one run may take."""
        stop_at = self._clock.monotonic_seconds() + self._budget_seconds
        while self._clock.monotonic_seconds() < stop_at:
            search = await self._looking.fetch_one(_Search, _NEXT_SEARCH)
            if search is None or not await self._go_on(search, stop_at):
                return

    async def _go_on(self, search: _Search, stop_at: float) -> bool:
        """Goes on with one search; returns False if this run can do no more."""
        names = ErasedNames(search.names)
        place: _Place | None = _Place()
        if search.position:
            place = _Place(search.position["table"], tuple(search.position["key"]))
        while place and self._clock.monotonic_seconds() < stop_at:
            search, place = await self._page(search, names, place)
        if place is None:
            return await self._end_pass(search)
        await self._store(search, place)
        return False

    async def _store(self, search: _Search, place: _Place) -> None:
        await self._database.execute(
            _STORE_POSITION,
            **search.key,
            position=Jsonb({"table": place.table, "key": place.key}),
            changed=search.changed,
            canceled=search.canceled,
        )

    async def _end_pass(self, search: _Search) -> bool:
        """Ends the search, or begins the next pass; returns False if that should wait."""
        flying = await self._database.fetch_one(
            Count, _COUNT_IN_FLIGHT, instance_id=search.instance_id, asked_at=search.asked_at
        )
        is_waiting = flying is not None and flying.count > 0
        first = search.pass_number == 1
        if search.sending and not is_waiting:
            await self._erase_again(search.instance_id, search.names)
        if not (is_waiting or first or search.sending or search.changed):
            await self._database.execute(_FINISH, **search.key)
            logger.info(
                "person_search_finished",
                instance_id=search.instance_id,
                canceled=search.canceled,
                passes=search.pass_number,
            )
            return True
        await self._database.execute(
            _BEGIN_PASS,
            **search.key,
            canceled=search.canceled,
            sending=search.sending and is_waiting,
            reopens=first or is_waiting or search.sending,
        )
        return first and not is_waiting

    async def _page(
        self, search: _Search, names: ErasedNames, place: _Place
    ) -> tuple[_Search, _Place | None]:
        """Works on one page; returns what the pass has done so far, and where it goes on."""
        if place.table == len(SEARCHED):
            return search, None
        searched = SEARCHED[place.table]
        rows = await self._read(searched, search, names, place.key)
        work = self._work(searched.table, search, names, rows)
        if work.changes and not await write_page(
            self._database,
            searched.table,
            search.instance_id,
            work.changes,
            failure="person_not_erased_from_page",
        ):
            work = replace(work, changes=())
        canceled = await self._canceled(search, work.cards)
        search = replace(
            search,
            changed=search.changed + len(work.changes) + len(work.cards),
            canceled=search.canceled + canceled,
        )
        if len(rows) == self._rows_at_once:
            return search, _Place(place.table, rows[-1].key)
        return search, _Place(place.table + 1)

    async def _read(
        self, searched: SearchedTable, search: _Search, names: ErasedNames, after: tuple[str, ...]
    ) -> list[PageRow]:
        # A message that was accepted after the order is a new one.
        is_queue = searched.table.name == QUEUE
        return await read_page(
            self._database,
            searched.page(from_start=not after),
            tuple(searched.table.key),
            after,
            instance_id=search.instance_id,
            until_at=search.asked_at if is_queue else search.until_at,
            pattern=pattern_of(names),
            max_count=self._rows_at_once,
        )

    def _work(
        self, table: SealedTable, search: _Search, names: ErasedNames, rows: Sequence[PageRow]
    ) -> _Work:
        changes: list[tuple[PageRow, Mapping[str, Any]]] = []
        cards: dict[str, Any] = {}
        for row in rows:
            opened = self._opened(table, search.instance_id, row)
            if not any(names_in(kind, names, value) for kind, value in opened.values()):
                continue
            if table.name == QUEUE and names.have_card_in(opened.get("payload", (None, None))[1]):
                cards[row.key[0]] = names.erased_from(opened["payload"][1])
                continue
            new = {
                column: self._sealed_again(
                    kind, search.instance_id, stored, erased(kind, names, opened[column][1])
                )
                for (column, kind), stored in zip(table.content.items(), row.content, strict=True)
                if column in opened
            }
            changes.append((row, new))
        return _Work(changes, cards)

    def _opened(
        self, table: SealedTable, instance_id: str, row: PageRow
    ) -> dict[str, tuple[Kind, Any]]:
        """Returns the content that was read, by column; leaves out what no key opens."""
        opened = {}
        for (column, kind), stored in zip(table.content.items(), row.content, strict=True):
            if stored is None:
                continue
            value = (
                kind.opened(self._seal, instance_id, stored) if kind.is_sealed(stored) else stored
            )
            if not is_unopened(value):
                opened[column] = (kind, value)
        return opened

    def _sealed_again(self, kind: Kind, instance_id: str, stored: Any, new: Any) -> Any:  # noqa: ANN401 - any value
        """Returns the new value, sealed if the stored one is."""
        if new is None or not kind.is_sealed(stored):
            return new
        return kind.sealed(self._seal, instance_id, new)

    async def _canceled(self, search: _Search, cards: Mapping[str, Any]) -> int:
        if not cards:
            return 0
        canceled = await self._database.fetch_one(
            Count,
            _CANCEL_CARDS,
            instance_id=search.instance_id,
            asked_at=search.asked_at,
            ids=[int(id_) for id_ in cards],
            payloads=[orjson.dumps(payload).decode() for payload in cards.values()],
        )
        return canceled.count if canceled else 0
