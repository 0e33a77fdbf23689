"""Reads the events of an account in order, from a position on.

Server-Sent Events read it for callers, who keep their position themselves (`Last-Event-ID`).
An EventConsumer reads it for a sink of this gateway and keeps the position in Postgres.

Events are written without a position. `assign_event_positions_v1` gives committed events the next
positions, in batches, before each read. So only an open transaction of this gateway delays its own
events, and a dump keeps the positions.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, Self

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import InvalidRequest

_SUBSCRIBE = query("webhooks", "subscribe")
_ASSIGN_POSITIONS = query("webhooks", "assign_event_positions")
_READ_EVENTS = query("webhooks", "read_events")
_READ_OLD_EVENTS = query("webhooks", "read_old_events")
_RESUME_POSITIONS = query("webhooks", "resume_positions")
_ACQUIRE_SUBSCRIPTIONS = query("webhooks", "acquire_subscriptions")
_COMMIT_POSITIONS = query("webhooks", "commit_positions")

_ASSIGNED_AT_ONCE = 1_000
_MAX_INT64 = 2**63 - 1
_FIRST_GENERATION: Final = 10**17
_POSITION = re.compile(r"([0-9]{1,18})-([0-9]{1,19})")


class Position(NamedTuple):
    """A place between two events of the log.

    `number` counts events in the order in which they became visible. `generation` names the history
    that it counts in, and is at least 10^17. A smaller one is a transaction id, and `number` a
    sequence number: a position of the release before. A node of that release takes a generation for
    a transaction that has not begun, so it sends nothing after such a position, and skips nothing.
    """

    generation: int
    number: int

    @classmethod
    def parse(cls, text: str, *, field: str = "Last-Event-ID") -> Self:
        """Reads what a caller sends as the id of its last event, in *field*.

        Raises:
            InvalidRequest: *text* is not an id of this log.
        """
        found = _POSITION.fullmatch(text)
        if not found or int(found[2]) > _MAX_INT64:
            raise InvalidRequest(f"{field}: is not an id of this stream")
        return cls(int(found[1]), int(found[2]))

    @property
    def is_old(self) -> bool:
        """Returns whether it comes from the release before."""
        return self.generation < _FIRST_GENERATION

    def __str__(self) -> str:
        return f"{self.generation}-{self.number}"


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A callback in the log; `reader` is the index of the reader it was read for."""

    reader: int
    generation: int
    number: int
    instance_id: str
    chat: str
    id: uuid.UUID
    type: str
    body: str

    @property
    def position(self) -> Position:
        return Position(self.generation, self.number)


@dataclass(frozen=True, slots=True)
class Gap:
    """Events that a reader cannot get, just before *position*.

    `expired`: they were deleted because of their age. `restored`: the database was restored to an
    earlier state than the reader has seen.
    """

    reader: int
    position: Position
    reason: Literal["expired", "restored"]


@dataclass(frozen=True, slots=True)
class LogReader:
    """A reader of an account's events, and the position it has read to.

    `is_known` says that this process read or resumed the position; any other one may be older than
    the stored events.
    """

    account_id: str
    position: Position
    is_known: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """What one read found.

    Attributes:
        events: in the order of their readers, each reader's events oldest first.
        resumed: the positions that were translated, by the index of their reader.
        gaps: at most one for each reader.
        more: other events wait for their positions: read again soon.
    """

    events: Sequence[LoggedEvent] = ()
    resumed: Mapping[int, Position] = field(default_factory=dict)
    gaps: Sequence[Gap] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class _CurrentPosition:
    generation: int
    number: int


@dataclass(frozen=True, slots=True)
class _Assignment:
    generation: int
    last_position: int
    assigned: int
    busy: bool

    @property
    def more(self) -> bool:
        return self.busy or self.assigned == _ASSIGNED_AT_ONCE


@dataclass(frozen=True, slots=True)
class _Resumed:
    reader: int
    generation: int
    number: int
    missing: Literal["expired", "restored"] | None

    @property
    def position(self) -> Position:
        return Position(self.generation, self.number)


@dataclass(frozen=True, slots=True)
class _Subscription:
    account_id: str
    generation: int
    number: int


class EventLog:
    """Stores the subscriptions of accounts by name and reads their events."""

    def __init__(self, database: Database, *, days: int) -> None:
        """Events, and subscriptions that are not renewed, are deleted after *days*."""
        self._database, self._days = database, days
        self._assigning = database.planned_once()

    async def subscribe(self, name: str, account_ids: Sequence[str]) -> Position:
        """Stores the events of these accounts from now on, with or without webhooks.

        Returns the current position. Subscribing again renews the subscription.
        """
        await self._assign_positions()
        now = await self._database.fetch_one(
            _CurrentPosition, _SUBSCRIBE, name=name, account_ids=list(account_ids), days=self._days
        )
        assert now is not None
        return Position(now.generation, now.number)

    async def assign_positions(self) -> bool:
        """Gives committed events their positions; returns whether others still wait.

        Nodes also do this without readers, so that few events wait.
        """
        return (await self._assign_positions()).more

    async def read(self, readers: Sequence[LogReader], *, max_count: int) -> Reading:
        """Reads at most *max_count* events for each reader, oldest first."""
        assignment = await self._assign_positions()
        asked = dict(enumerate(readers))
        old = {n: reader for n, reader in asked.items() if reader.position.is_old}
        events = await self._read_old(old, max_count)
        for event in events:
            asked.pop(event.reader, None)
        resumed = await self._resume(
            {
                n: reader
                for n, reader in asked.items()
                if not reader.is_known or reader.position.generation != assignment.generation
            }
        )
        asked |= {r.reader: LogReader(readers[r.reader].account_id, r.position) for r in resumed}
        return Reading(
            events=[*events, *await self._read(asked, max_count)],
            resumed={each.reader: each.position for each in resumed},
            gaps=[Gap(r.reader, r.position, r.missing) for r in resumed if r.missing],
            more=assignment.more,
        )

    async def _assign_positions(self) -> _Assignment:
        assignment = await self._assigning.fetch_one(
            _Assignment, _ASSIGN_POSITIONS, max_count=_ASSIGNED_AT_ONCE
        )
        assert assignment is not None
        return assignment

    async def _read_old(
        self, readers: Mapping[int, LogReader], max_count: int
    ) -> list[LoggedEvent]:
        if not readers:
            return []
        return await self._database.fetch_all(
            LoggedEvent, _READ_OLD_EVENTS, **_parameters(readers), max_count=max_count
        )

    async def _read(self, readers: Mapping[int, LogReader], max_count: int) -> list[LoggedEvent]:
        if not readers:
            return []
        return await self._database.fetch_all(
            LoggedEvent, _READ_EVENTS, **_parameters(readers), max_count=max_count
        )

    async def _resume(self, readers: Mapping[int, LogReader]) -> list[_Resumed]:
        if not readers:
            return []
        return await self._database.fetch_all(
            _Resumed, _RESUME_POSITIONS, **_parameters(readers), first_generation=_FIRST_GENERATION
        )

    async def acquire(
        self, name: str, account_ids: list[str], node_id: str
    ) -> list[tuple[str, Position]]:
        """Makes this node the consumer of the accounts that no other node consumes now.

        Returns these accounts, each with its stored position.
        """
        rows = await self._database.fetch_all(
            _Subscription,
            _ACQUIRE_SUBSCRIPTIONS,
            name=name,
            account_ids=account_ids,
            node_id=node_id,
            seconds=CONSUMER_LEASE_SECONDS,
        )
        return [(row.account_id, Position(row.generation, row.number)) for row in rows]

    async def commit(self, name: str, positions: Mapping[str, Position], node_id: str) -> None:
        """Stores positions by account, but only of accounts that this node still consumes."""
        await self._database.execute(
            _COMMIT_POSITIONS,
            name=name,
            account_ids=list(positions),
            generations=[position.generation for position in positions.values()],
            numbers=[position.number for position in positions.values()],
            node_id=node_id,
        )


def _parameters(readers: Mapping[int, LogReader]) -> dict[str, object]:
    return {
        "readers": list(readers),
        "account_ids": [reader.account_id for reader in readers.values()],
        "generations": [reader.position.generation for reader in readers.values()],
        "numbers": [reader.position.number for reader in readers.values()],
    }


CONSUMER_LEASE_SECONDS = 60.0
"""Another node takes over from a node that stops committing for this long.

A sink must take less time for a page.
"""
