"""Reads the events of an account in order, from a position on.

Server-Sent Events read it for callers, who keep their position themselves (`Last-Event-ID`).
An EventConsumer reads it for a sink of this gateway and keeps the position in Postgres.
"""

import asyncio
import re
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import InvalidRequest
from gateway.periodic_loop import PeriodicLoop

_SUBSCRIBE = query("webhooks", "subscribe")
_READ_EVENTS = query("webhooks", "read_events")
_ACQUIRE_SUBSCRIPTIONS = query("webhooks", "acquire_subscriptions")
_COMMIT_POSITIONS = query("webhooks", "commit_positions")

_PAGE = 500
_IDLE_SECONDS, _RETRY_SECONDS = 1.0, 1.0
_RENEW_SECONDS = 3_600.0
_MAX_INT64 = 2**63 - 1
_POSITION = re.compile(r"([0-9]{1,18})-([0-9]{1,19})")


class Position(NamedTuple):
    """A place between two events of the log."""

    transaction_id: int
    sequence: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what a caller sends as `Last-Event-ID`.

        Raises:
            InvalidRequest: *text* is not an id of this log.
        """
        found = _POSITION.fullmatch(text)
        if not found or int(found[2]) > _MAX_INT64:
            raise InvalidRequest("Last-Event-ID: is not an id of this stream")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.transaction_id}-{self.sequence}"


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A callback in the log; `number` is the index of the reader it was read for."""

    number: int
    transaction_id: int
    sequence: int
    instance_id: str
    chat: str
    id: uuid.UUID
    type: str
    body: str

    @property
    def position(self) -> Position:
        return Position(self.transaction_id, self.sequence)


@dataclass(frozen=True, slots=True)
class LogReader:
    """A reader of an account's events, and the position it has read to."""

    account_id: str
    position: Position


@dataclass(frozen=True, slots=True)
class _CurrentPosition:
    transaction_id: int
    sequence: int


@dataclass(frozen=True, slots=True)
class _Subscription:
    account_id: str
    transaction_id: int
    sequence: int


class EventLog:
    """Stores the subscriptions of accounts by name and reads their events."""

    def __init__(self, database: Database, *, days: int) -> None:
        """Events, and subscriptions that are not renewed, are deleted after *days*."""
        self._database, self._days = database, days

    async def subscribe(self, name: str, account_ids: Sequence[str]) -> Position:
        """Stores the events of these accounts from now on, with or without webhooks.

        Returns the current position. Subscribing again renews the subscription.
        """
        now = await self._database.fetch_one(
            _CurrentPosition, _SUBSCRIBE, name=name, account_ids=list(account_ids), days=self._days
        )
        assert now is not None
        return Position(now.transaction_id, now.sequence)

    async def read(self, readers: Sequence[LogReader], *, max_count: int) -> list[LoggedEvent]:
        """Reads at most *max_count* events for each reader, oldest first, in one statement."""
        return await self._database.fetch_all(
            LoggedEvent,
            _READ_EVENTS,
            numbers=list(range(len(readers))),
            account_ids=[reader.account_id for reader in readers],
            transaction_ids=[reader.position.transaction_id for reader in readers],
            sequences=[reader.position.sequence for reader in readers],
            max_count=max_count,
        )

    async def acquire(self, name: str, account_ids: list[str], node_id: str) -> list[LogReader]:
        """Makes this node the consumer of the accounts that no other node consumes now.

        Returns the stored position of each account.
        """
        rows = await self._database.fetch_all(
            _Subscription,
            _ACQUIRE_SUBSCRIPTIONS,
            name=name,
            account_ids=account_ids,
            node_id=node_id,
            seconds=CONSUMER_LEASE_SECONDS,
        )
        return [LogReader(r.account_id, Position(r.transaction_id, r.sequence)) for r in rows]

    async def commit(self, name: str, readers: Sequence[LogReader], node_id: str) -> None:
        """Stores positions, but only of accounts that this node still consumes."""
        await self._database.execute(
            _COMMIT_POSITIONS,
            name=name,
            account_ids=[reader.account_id for reader in readers],
            transaction_ids=[reader.position.transaction_id for reader in readers],
            sequences=[reader.position.sequence for reader in readers],
            node_id=node_id,
        )


CONSUMER_LEASE_SECONDS = 60.0
"""Another node takes over from a node that stops committing for this long.

A sink must take less time for a page.
"""


class SinkUnavailable(Exception):
    """The sink did not store the events: the consumer hands them over again."""


Sink = Callable[[Sequence[LoggedEvent]], Awaitable[None]]
"""Returns once it has stored the events; raises SinkUnavailable otherwise."""


class EventConsumer:
    """Hands the events of some accounts to a sink until it is stopped.

    Each account's events arrive in order and at least once: the position is stored after the
    sink returned. Of several nodes one at a time consumes for an account.
    """

    def __init__(
        self,
        name: str,
        log: EventLog,
        sink: Sink,
        clock: Clock,
        *,
        accounts: Callable[[], Awaitable[Sequence[str]]],
        node_id: str,
    ) -> None:
        """Prepares the consumer.

        Args:
            name: of the subscription; two consumers with different names are independent.
            log: the events.
            sink: takes a page of events.
            clock: time.
            accounts: returns the ids of the accounts; called every hour.
            node_id: this node.
        """
        self._name, self._log, self._sink, self._clock = name, log, sink, clock
        self._accounts, self._node_id = accounts, node_id
        self._account_ids: list[str] = []
        self._renew_at = 0.0
        self._loop = PeriodicLoop(name, self._consume, clock)

    def wake(self) -> None:
        """Reads at once: there may be events."""
        self._loop.wake()

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _consume(self) -> float:
        try:
            return await self._consume_page()
        except SinkUnavailable:
            return _RETRY_SECONDS  # the next run acquires again: another node may have taken over

    async def _consume_page(self) -> float:
        await self._renew()
        readers = await self._log.acquire(self._name, self._account_ids, self._node_id)
        events = await self._log.read(readers, max_count=_PAGE)
        if not events:
            return _IDLE_SECONDS
        await self._sink(events)
        last = {readers[event.number].account_id: event.position for event in events}
        consumed = [LogReader(account_id, position) for account_id, position in last.items()]
        await self._log.commit(self._name, consumed, self._node_id)
        return 0.0

    async def _renew(self) -> None:
        now = self._clock.monotonic_seconds()
        if now >= self._renew_at:
            self._account_ids = sorted(set(await self._accounts()))
            await self._log.subscribe(self._name, self._account_ids)
            self._renew_at = now + _RENEW_SECONDS
