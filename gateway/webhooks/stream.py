"""Streams an account's events to callers who are connected (Server-Sent Events).

One statement reads for all subscribers. A slow subscriber slows only itself: at most one page
waits for it in memory, and later events stay in the database.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.errors import TooManyRequests
from gateway.periodic_loop import PeriodicLoop
from gateway.webhooks.event_log import EventLog, LoggedEvent, LogReader, Position

_SUBSCRIPTION = "stream"
_PAGE = 100
_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.02, 1.0
_RENEW_SECONDS = 3_600.0


@dataclass(eq=False, slots=True)
class _Subscriber:
    account_id: str
    position: Position
    page: list[LoggedEvent] = field(default_factory=list)
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)


class Stream:
    """Reads the log for the subscribers connected to this node, until it is stopped.

    Args:
        log: the events.
        clock: time.
        max_followers: connections that each account may have open on this node.
    """

    def __init__(self, log: EventLog, clock: Clock, *, max_followers: int) -> None:
        self._log, self._clock, self._max_followers = log, clock, max_followers
        self._subscribers: set[_Subscriber] = set()
        self._loop = PeriodicLoop("event_stream", self._read_for_all, clock)
        self._pause_seconds = _MIN_PAUSE_SECONDS
        self._renew_at = 0.0
        self._is_over = False

    def wake(self) -> None:
        """Reads at once: there may be events."""
        self._pause_seconds = _MIN_PAUSE_SECONDS
        self._loop.wake()

    def followers_of(self, account_id: str) -> int:
        """Returns how many connections of the account follow the events on this node."""
        return sum(other.account_id == account_id for other in self._subscribers)

    async def subscribe(
        self, account_id: str, after: Position | None
    ) -> AsyncGenerator[list[LoggedEvent], None]:
        """Yields pages of events, from now or after a position, until the service stops.

        The account's events are stored from the first subscription on: a caller who comes back
        with its last position misses nothing, with or without webhooks.

        Raises:
            TooManyRequests: the account has the most subscribers it may have on this node.
            DatabaseUnavailable: the current position cannot be read.
        """
        if self.followers_of(account_id) >= self._max_followers:
            raise TooManyRequests("account", retry_after_seconds=60)
        now = await self._log.subscribe(_SUBSCRIPTION, [account_id])
        return self._pages(_Subscriber(account_id, after or now))

    async def _pages(self, subscriber: _Subscriber) -> AsyncGenerator[list[LoggedEvent], None]:
        with self._subscribed(subscriber):
            while not self._is_over:
                self.wake()
                await subscriber.wakeup.wait()
                subscriber.wakeup.clear()
                if page := subscriber.page:
                    yield page
                    subscriber.position, subscriber.page = page[-1].position, []

    @contextmanager
    def _subscribed(self, subscriber: _Subscriber) -> Iterator[None]:
        self._subscribers.add(subscriber)
        try:
            yield
        finally:
            self._subscribers.discard(subscriber)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)
        self._is_over = True
        for subscriber in self._subscribers:
            subscriber.wakeup.set()

    async def _read_for_all(self) -> float | None:
        waiting = [subscriber for subscriber in self._subscribers if not subscriber.page]
        if waiting:
            await self._renew()
            await self._read_for(waiting)
            # A transaction that is still open holds events back: read soon, then less often.
            self._pause_seconds = min(self._pause_seconds * 2, _MAX_PAUSE_SECONDS)
        return self._pause_seconds if self._subscribers else None

    async def _read_for(self, waiting: list[_Subscriber]) -> None:
        readers = [LogReader(s.account_id, s.position) for s in waiting]
        for event in await self._log.read(readers, max_count=_PAGE):
            waiting[event.number].page.append(event)
        for subscriber in waiting:
            if subscriber.page:
                subscriber.wakeup.set()

    async def _renew(self) -> None:
        now = self._clock.monotonic_seconds()
        if now >= self._renew_at:
            self._renew_at = now + _RENEW_SECONDS
            accounts = sorted({subscriber.account_id for subscriber in self._subscribers})
            await self._log.subscribe(_SUBSCRIPTION, accounts)
