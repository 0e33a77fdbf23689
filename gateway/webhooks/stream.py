"""What is told, as a stream: one statement reads for everybody who follows.

A follower that reads slowly is read for slowly: a page at most waits for it in memory, and what
comes later stays in the database.
"""

import asyncio
import re
import uuid
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, InvalidRequest, TooManyRequests
from gateway.observability.logging import logger
from gateway.wakeups import waking

_FOLLOW_EVENTS = query("webhooks", "follow_events")
READ_EVENTS: Final = query("webhooks", "read_events")

_PAGE = 100
_MAX_PER_ACCOUNT = 50
_FIRST_REST_SECONDS, _MAX_REST_SECONDS = 0.02, 1.0
_RENEW_SECONDS = 3_600.0
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,19})")


class Cursor(NamedTuple):
    """A place between two events."""

    transaction_id: int
    sequence: int

    @classmethod
    def read(cls, text: str) -> Self:
        """Raises InvalidRequest where *text* is none of ours."""
        found = _CURSOR.fullmatch(text)
        if not found or int(found[2]) >= 2**63:
            raise InvalidRequest("Last-Event-ID: is not an id of this stream")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.transaction_id}-{self.sequence}"


@dataclass(frozen=True, slots=True)
class StreamedEvent:
    """Something that was told, and for which follower it was read."""

    number: int
    transaction_id: int
    sequence: int
    instance_id: str
    chat: str
    id: uuid.UUID
    type: str
    body: str

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.transaction_id, self.sequence)


@dataclass(frozen=True, slots=True)
class _Place:
    transaction_id: int
    sequence: int


@dataclass(eq=False, slots=True)
class _Follower:
    account_id: str
    cursor: Cursor
    page: list[StreamedEvent] = field(default_factory=list)
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)


class Stream:
    """Part of the service."""

    def __init__(self, database: Database, clock: Clock, *, days: int) -> None:
        self._database, self._clock, self._days = database, clock, days
        self._followers: set[_Follower] = set()
        self._wakeup = asyncio.Event()
        self._rest_seconds = _FIRST_REST_SECONDS
        self._renew_at = 0.0
        self._over = False

    def wake(self) -> None:
        """Something may have been told."""
        self._rest_seconds = _FIRST_REST_SECONDS
        self._wakeup.set()

    async def follow(
        self, account_id: str, after: Cursor | None
    ) -> AsyncGenerator[list[StreamedEvent], None]:
        """Pages of what is told, from now or after a cursor, until the service stops.

        Whoever follows once is remembered for as long as events are kept: nothing is missed
        between two calls, with or without webhooks.

        Raises:
            TooManyRequests: too many follow this account already.
            DatabaseUnavailable: nobody can say where now is.
        """
        if sum(f.account_id == account_id for f in self._followers) >= _MAX_PER_ACCOUNT:
            raise TooManyRequests("account", retry_after_seconds=60)
        now = await follow(self._database, "stream", [account_id], days=self._days)
        return self._pages(_Follower(account_id, after or now))

    async def _pages(self, follower: _Follower) -> AsyncGenerator[list[StreamedEvent], None]:
        with self._following(follower):
            while not self._over:
                self.wake()
                await follower.wakeup.wait()
                follower.wakeup.clear()
                if page := follower.page:
                    yield page
                    follower.cursor, follower.page = page[-1].cursor, []

    @contextmanager
    def _following(self, follower: _Follower) -> Iterator[None]:
        self._followers.add(follower)
        try:
            yield
        finally:
            self._followers.discard(follower)

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                try:
                    await self._round()
                except DatabaseUnavailable as error:
                    logger.warning("stream_waits_for_database", error=str(error))
                idle = not self._followers
                await self._clock.wait(self._wakeup, None if idle else self._rest_seconds)
                self._wakeup.clear()
        self._over = True
        for follower in self._followers:
            follower.wakeup.set()

    async def _round(self) -> None:
        hungry = [follower for follower in self._followers if not follower.page]
        if not hungry:
            return
        await self._renew()
        events = await self._database.fetch_all(
            StreamedEvent,
            READ_EVENTS,
            numbers=list(range(len(hungry))),
            account_ids=[f.account_id for f in hungry],
            transaction_ids=[f.cursor.transaction_id for f in hungry],
            sequences=[f.cursor.sequence for f in hungry],
            max_count=_PAGE,
        )
        for event in events:
            hungry[event.number].page.append(event)
        for follower in hungry:
            if follower.page:
                follower.wakeup.set()
        # A transaction still under way may hold back what was told: soon again, then seldom.
        self._rest_seconds = min(self._rest_seconds * 2, _MAX_REST_SECONDS)

    async def _renew(self) -> None:
        now = self._clock.monotonic_seconds()
        if now >= self._renew_at:
            self._renew_at = now + _RENEW_SECONDS
            ids = sorted({follower.account_id for follower in self._followers})
            await follow(self._database, "stream", ids, days=self._days)


async def follow(database: Database, name: str, account_ids: Sequence[str], *, days: int) -> Cursor:
    """Has everything of these accounts kept, whether or not they have webhooks; from now on."""
    place = await database.fetch_one(
        _Place, _FOLLOW_EVENTS, name=name, account_ids=list(account_ids), days=days
    )
    assert place is not None
    return Cursor(place.transaction_id, place.sequence)
