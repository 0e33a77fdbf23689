"""Streams an account's events to callers who are connected (Server-Sent Events).

One statement reads for all subscribers. A slow subscriber slows only itself: at most one page
waits for it in memory, and later events stay in the database.

A subscriber whose token is no longer right is ended: when Postgres notifies of a changed account,
and at the latest after half a minute.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway.account_turns import AccountTurns, Share
from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.errors import TooManyRequests
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop
from gateway.webhooks.event_log import EventLog, Gap, LoggedEvent, LogReader, Position, Reading

_SUBSCRIPTION = "stream"
_PAGE, _MIN_PAGE, _READ_AT_ONCE = 100, 5, 1_000
_MIN_PAUSE_SECONDS, _MAX_PAUSE_SECONDS = 0.02, 1.0
_SECONDS_PER_FOLLOWER = 0.002
_RENEW_SECONDS = 3_600.0
_CHECK_SECONDS = 30.0
_ONE_AT_ONCE: Final = Share(1, 1)

Page = Sequence[LoggedEvent | Gap]


class StreamAccess:
    """The right of one caller to read a stream, from the start of the stream on."""

    def __init__(self, is_allowed: Callable[[], Awaitable[bool]]) -> None:
        """Prepares it; *is_allowed* says whether the caller's token is still right."""
        self.is_allowed = is_allowed
        self.is_revoked = False
        self.on_revoked: Callable[[], None] = lambda: None
        self.wake: Callable[[], None] = lambda: None

    def revoke(self) -> None:
        """Ends the stream at once: it may wait for an event that does not come."""
        self.is_revoked = True
        self.wake()
        self.on_revoked()


@dataclass(eq=False, slots=True)
class _Subscriber:
    account_id: str
    position: Position
    access: StreamAccess
    position_is_known: bool
    must_check: bool = True  # the token may have changed before the subscriber was here
    page: list[LoggedEvent | Gap] = field(default_factory=list)
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
        self._places: Counter[str] = Counter()
        self._turns = AccountTurns(_ONE_AT_ONCE)
        """Of subscriptions: each locks the row of the account, and waits with a connection."""
        self._loop = PeriodicLoop(
            "event_stream", self._read_for_all, clock, min_pause_seconds=_MIN_PAUSE_SECONDS
        )
        self._access_loop = PeriodicLoop("event_stream_access", self._check_access, clock)
        self._check_all_at = 0.0
        self._pause_seconds = _MIN_PAUSE_SECONDS
        self._renew_at = 0.0
        self._is_over = False

    def wake(self) -> None:
        """Reads at once: there may be events."""
        self._pause_seconds = _MIN_PAUSE_SECONDS
        self._loop.wake()

    def followers_of(self, account_id: str) -> int:
        """Returns how many connections of the account follow the events on this node."""
        return self._places[account_id]

    def listen(self, notifications: Notifications) -> None:
        """Checks the tokens of an account's subscribers when the account changes."""
        notifications.subscribe(
            "account_changed", self._account_changed, on_reconnect=self._any_account_changed
        )

    @asynccontextmanager
    async def subscribe(
        self, account_id: str, after: Position | None, access: StreamAccess
    ) -> AsyncIterator[AsyncGenerator[Page, None]]:
        """Gives pages of events, from now or after a position, until the service stops.

        They end also when *access* is revoked.

        The account's events are stored from the first subscription on: a caller who comes back
        with its last position misses nothing, with or without webhooks.

        Raises:
            TooManyRequests: the account has the most subscribers it may have on this node.
            DatabaseUnavailable: the current position cannot be read.
        """
        with self._place(account_id):
            async with self._turns.turn(account_id):
                now = await self._log.subscribe(_SUBSCRIPTION, [account_id])
            yield self._pages(_Subscriber(account_id, after or now, access, after is None))

    @contextmanager
    def _place(self, account_id: str) -> Iterator[None]:
        """Takes a place before anything is awaited: many callers may come at once."""
        if self._places[account_id] >= self._max_followers:
            raise TooManyRequests("account", retry_after_seconds=60, things="followers of events")
        self._places[account_id] += 1
        try:
            yield
        finally:
            self._places[account_id] -= 1
            if not self._places[account_id]:
                del self._places[account_id]

    async def _pages(self, subscriber: _Subscriber) -> AsyncGenerator[Page, None]:
        with self._subscribed(subscriber):
            self._access_loop.wake()
            while not (self._is_over or subscriber.access.is_revoked):
                self.wake()
                await subscriber.wakeup.wait()
                subscriber.wakeup.clear()
                if (page := subscriber.page) and not subscriber.access.is_revoked:
                    yield page
                    subscriber.position, subscriber.page = page[-1].position, []

    @contextmanager
    def _subscribed(self, subscriber: _Subscriber) -> Iterator[None]:
        self._subscribers.add(subscriber)
        subscriber.access.wake = subscriber.wakeup.set
        try:
            yield
        finally:
            self._subscribers.discard(subscriber)

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._access_loop.run_until(stopping))
            group.create_task(self._loop.run_until(stopping))
        self._is_over = True
        for subscriber in self._subscribers:
            subscriber.wakeup.set()

    async def _read_for_all(self) -> float | None:
        waiting = [subscriber for subscriber in self._subscribers if not subscriber.page]
        if waiting:
            # Each page costs a write for each of them: many get fewer and longer ones.
            await self._clock.sleep(_SECONDS_PER_FOLLOWER * len(waiting))
            waiting = [subscriber for subscriber in self._subscribers if not subscriber.page]
            await self._renew()
            if waiting:  # not if all of them left meanwhile
                await self._read_for(waiting)
            # A transaction that is still open holds events back: read soon, then less often.
            self._pause_seconds = min(self._pause_seconds * 2, _MAX_PAUSE_SECONDS)
        return self._pause_seconds if self._subscribers else None

    async def _read_for(self, waiting: list[_Subscriber]) -> None:
        """Reads once for subscribers at one place: the followers of an account move together."""
        together = defaultdict[LogReader, list[_Subscriber]](list)
        for each in waiting:
            reader = LogReader(each.account_id, each.position, each.position_is_known)
            together[reader].append(each)
        groups = list(together.values())
        # An account may follow from fifty places: all of their pages are read in one go.
        page = max(_MIN_PAGE, min(_PAGE, _READ_AT_ONCE // len(groups)))
        reading = await self._log.read(list(together), max_count=page)
        _hand_out(reading, groups)
        if reading.more:
            self._pause_seconds = _MIN_PAUSE_SECONDS / 2

    def _account_changed(self, account_id: str) -> None:
        for subscriber in self._subscribers:
            subscriber.must_check |= subscriber.account_id == account_id
        self._access_loop.wake()

    def _any_account_changed(self) -> None:
        self._check_all_at = 0.0
        self._access_loop.wake()

    async def _check_access(self) -> float | None:
        now = self._clock.monotonic_seconds()
        if now >= self._check_all_at:
            self._check_all_at = now + _CHECK_SECONDS
            for subscriber in self._subscribers:
                subscriber.must_check = True
        for subscriber in [each for each in self._subscribers if each.must_check]:
            await self._check(subscriber)
        return self._check_all_at - now if self._subscribers else None

    async def _check(self, subscriber: _Subscriber) -> None:
        subscriber.must_check = False  # a change during the check sets it again
        try:
            if await subscriber.access.is_allowed():
                return
        except BaseException:
            subscriber.must_check = True
            raise
        logger.info("stream_access_revoked", account_id=subscriber.account_id)
        subscriber.access.revoke()

    async def _renew(self) -> None:
        now = self._clock.monotonic_seconds()
        if now >= self._renew_at:
            self._renew_at = now + _RENEW_SECONDS
            accounts = sorted({subscriber.account_id for subscriber in self._subscribers})
            await self._log.subscribe(_SUBSCRIPTION, accounts)


def _hand_out(reading: Reading, groups: Sequence[Sequence[_Subscriber]]) -> None:
    """Gives subscribers what was read for their groups, and wakes those who got something."""
    for number, position in reading.resumed.items():
        for subscriber in groups[number]:
            subscriber.position, subscriber.position_is_known = position, True
    page: Page = (*reading.gaps, *reading.events)
    for found in page:
        for subscriber in groups[found.reader]:
            subscriber.page.append(found)
            subscriber.wakeup.set()
