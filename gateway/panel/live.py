"""Live pages: one stream per tab says which topics changed; the page asks again for its parts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.errors import TooManyRequests
from gateway.periodic_loop import PeriodicLoop

MAX_STREAMS_PER_USER: Final = 8
MAX_TOPICS: Final = 8
_PULSE_SECONDS = 3.0
_ACCOUNT_SECONDS = 10.0
_CHECK_SECONDS = 30.0
_MIN_PAUSE_SECONDS = 0.2
_ENDED: Final = "ended"

IsOpen = Callable[[], Awaitable[bool]]


@dataclass(eq=False, slots=True)
class _Watcher:
    user_id: str
    account_id: str
    topics: frozenset[str]
    is_open: IsOpen
    must_check: bool = True  # the session may have ended before the watcher was here
    has_ended: bool = False
    changed: set[str] = field(default_factory=set)
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, topics: frozenset[str]) -> None:
        if found := topics & self.topics:
            self.changed |= found
            self.wakeup.set()


class LiveHub:
    """Passes changes on to the open tabs of this node.

    A topic is `instance:ID`, `queue:ID` or `account:ID`. An instance changes when Postgres says so,
    its session among them. A queue is announced every three seconds, because no notification goes
    with each message. An account is announced with the queues if any instance changed since, and
    every ten seconds for what waits.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._watchers: set[_Watcher] = set()
        self._is_over = False
        self._check_all_at, self._pulse_at, self._accounts_at = 0.0, 0.0, 0.0
        self._has_changes = False
        self._loop = PeriodicLoop(
            "panel_live", self._step, clock, min_pause_seconds=_MIN_PAUSE_SECONDS
        )

    def listen(self, notifications: Notifications) -> None:
        """Follows changes of instances, and of accounts, users and their sessions."""
        notifications.subscribe(
            "instance_changed", self._instance_changed, on_reconnect=self._anything_changed
        )
        notifications.subscribe("connection_changed", self._instance_changed)
        notifications.subscribe("account_changed", self._account_changed)

    def open(
        self, user_id: str, account_id: str | None, topics: frozenset[str], is_open: IsOpen
    ) -> AsyncIterator[str]:
        """Returns the topics that change, until the session ends, and then "ended".

        Args:
            user_id: who follows; a user has eight streams on a node.
            account_id: of the user; None for an operator.
            topics: what the page shows.
            is_open: says whether the session of the user is still open.

        Raises:
            TooManyRequests: the user has as many streams as he may.
        """
        if sum(each.user_id == user_id for each in self._watchers) >= MAX_STREAMS_PER_USER:
            raise TooManyRequests("user", retry_after_seconds=60, things="open pages")
        return self._changes(_Watcher(user_id, account_id or "", topics, is_open))

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Works until *stopping* is set, then ends every stream."""
        await self._loop.run_until(stopping)
        self._is_over = True
        for watcher in self._watchers:
            watcher.wakeup.set()

    async def _changes(self, watcher: _Watcher) -> AsyncIterator[str]:
        with self._watching(watcher):
            self._loop.wake()
            while not (self._is_over or watcher.has_ended):
                await watcher.wakeup.wait()
                watcher.wakeup.clear()
                changed, watcher.changed = watcher.changed, set()
                for topic in sorted(changed):
                    yield topic
            if watcher.has_ended:
                yield _ENDED

    @contextmanager
    def _watching(self, watcher: _Watcher) -> Iterator[None]:
        self._watchers.add(watcher)
        try:
            yield
        finally:
            self._watchers.discard(watcher)

    def _instance_changed(self, instance_id: str) -> None:
        self._has_changes = True
        for watcher in self._watchers:
            watcher.note(frozenset({f"instance:{instance_id}", f"queue:{instance_id}"}))

    def _account_changed(self, account_id: str) -> None:
        for watcher in self._watchers:
            watcher.must_check |= watcher.account_id == account_id
        self._loop.wake()

    def _anything_changed(self) -> None:
        self._has_changes = True
        self._check_all_at = self._pulse_at = 0.0
        self._loop.wake()

    async def _step(self) -> float | None:
        if not self._watchers:
            return None
        now = self._clock.monotonic_seconds()
        if now >= self._check_all_at:
            self._check_all_at = now + _CHECK_SECONDS
            for watcher in self._watchers:
                watcher.must_check = True
        for watcher in [each for each in self._watchers if each.must_check]:
            await self._check(watcher)
        if now >= self._pulse_at:
            self._pulse(now)
        return max(0.0, self._pulse_at - self._clock.monotonic_seconds())

    def _pulse(self, now: float) -> None:
        self._pulse_at = now + _PULSE_SECONDS
        kinds: tuple[str, ...] = ("queue:",)
        if self._has_changes or now >= self._accounts_at:
            self._has_changes, self._accounts_at = False, now + _ACCOUNT_SECONDS
            kinds = ("queue:", "account:")
        for watcher in self._watchers:
            watcher.note(frozenset(t for t in watcher.topics if t.startswith(kinds)))

    async def _check(self, watcher: _Watcher) -> None:
        watcher.must_check = False  # a change during the check sets it again
        try:
            watcher.has_ended = not await watcher.is_open()
        except BaseException:
            watcher.must_check = True
            raise
        if watcher.has_ended:
            watcher.wakeup.set()
