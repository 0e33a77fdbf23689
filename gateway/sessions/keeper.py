"""Keeps a session open for every instance whose lease this node holds."""

import asyncio
from typing import Final
from weakref import WeakValueDictionary

import psycopg

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.errors import DatabaseUnavailable, SessionUnavailable
from gateway.instances.store import Instances
from gateway.observability.logging import logger
from gateway.sessions.leases import Lease, Leases, Predecessor
from gateway.sessions.live import LiveSession
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.opening import Held, Opener
from gateway.sessions.provider import Session
from gateway.wakeups import waking

# What fails here must not end the other sessions of this node, whatever the error.
_DATABASE_ERRORS: Final = (DatabaseUnavailable, psycopg.Error)
_REOPEN_SECONDS = 30.0
_PAUSE_BEFORE_JOINING_SECONDS = 1.0
_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 0.5
_LOCK_POLL_SECONDS = 0.1
_LAPSE_MARGIN_SECONDS = 0.02  # so that whoever lapses then has lapsed


class Keeper:
    """Part of the service.

    each round: renew -> what is our share? -> take what is free, or give away what is too much
                  |
                  +--> too late: close everything, join anew

    `connected` and `listeners` are those of its opener.
    """

    def __init__(
        self,
        *,
        leases: Leases,
        instances: Instances,
        opener: Opener,
        clock: Clock,
        lock: NodeLock,
        renew_seconds: float,
        give_seconds: float,
    ) -> None:
        """Takes nothing before it runs.

        Args:
            leases: this node's.
            instances: finds settings.
            opener: opens the sessions.
            clock: time.
            lock: of this node; tells whether an earlier process is gone.
            renew_seconds: from one sign of life to the next.
            give_seconds: how long an attempt under way may delay giving its lease away, or the
                change to another proxy.
        """
        self._leases, self._instances, self._opener = leases, instances, opener
        self._clock, self._renew_seconds = clock, renew_seconds
        self._give_seconds, self._lock = give_seconds, lock
        self._unsure = True
        self._held: dict[str, Held] = {}
        self._touched: set[str] = set()
        self._awaited = WeakValueDictionary[str, asyncio.Event]()
        self._wakeup, self._touch_wakeup = asyncio.Event(), asyncio.Event()
        opener.after_opening = self._on_opened
        self.connected, self.listeners = opener.connected, opener.listeners

    def listen(self, notifications: Notifications) -> None:
        notifications.subscribe("instance_changed", self._touch, on_reconnect=self._touch_all)
        notifications.subscribe("leases", lambda _nothing: self._wakeup.set())

    def session(self, instance_id: str) -> Session | None:
        """The open session of an instance, connected or not."""
        held = self._held.get(instance_id)
        return held.live.session if held and held.live else None

    async def session_within(self, instance_id: str, seconds: float) -> Session | None:
        """The open session of an instance; waits for one that this node is to open."""
        if session := self.session(instance_id):
            return session
        opened = self._awaited.setdefault(instance_id, asyncio.Event())
        await self._clock.wait(opened, seconds)
        return self.session(instance_id)

    def epoch(self, instance_id: str) -> int | None:
        """Of the lease of an instance, while it is ours."""
        held = self._held.get(instance_id)
        return held.lease.epoch if held else None

    async def reopen(self, instance_id: str) -> None:
        """Closes the session of an instance and opens it anew; returns once it is open.

        Raises:
            SessionUnavailable: this node does not hold it, or it did not open in time.
        """
        held = self._held.get(instance_id)
        if held is None:
            raise SessionUnavailable("The session of this instance is not open right now")
        held.reopen()
        if not await self._clock.wait(held.opened, _REOPEN_SECONDS):
            raise SessionUnavailable("The session did not open again in time")

    async def run_until(self, stopping: asyncio.Event) -> None:
        if not await self._join(stopping):
            return  # what an earlier process held is free when that has lapsed
        async with asyncio.TaskGroup() as sessions, waking(self._wakeup, when=stopping):
            sessions.create_task(self._refresh_until(stopping, sessions), name="settings")
            while not stopping.is_set():
                self._wakeup.clear()
                try:
                    pause = await self._round(sessions)
                except _DATABASE_ERRORS as error:
                    logger.warning("leases_wait_for_database", error=str(error))
                    self._unsure = True  # the answer to what was done may be lost
                    pause = _PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS
                await self._clock.wait(self._wakeup, pause)
            for held in self._held.values():
                held.task.cancel()
        try:
            await self._leases.leave()
        except _DATABASE_ERRORS as error:
            logger.warning("leases_left_to_lapse", error=str(error))

    async def _join(self, stopping: asyncio.Event) -> bool:
        """Whether this node may begin; False when it is to stop before that."""
        while not stopping.is_set():
            try:
                if predecessor := await self._leases.join():
                    if not await self._outwait(predecessor, stopping):
                        return False
                    await self._leases.retake()
            except _DATABASE_ERRORS as error:
                logger.warning("leases_wait_for_database", error=str(error))
                await self._clock.wait(stopping, _PAUSE_BEFORE_JOINING_SECONDS)
            else:
                self._lock.claim(self._leases.life)
                return True
        return False

    async def _outwait(self, predecessor: Predecessor, stopping: asyncio.Event) -> bool:
        """Returns True once it is certain that the earlier process of this node acts no more."""
        renew_at = self._clock.monotonic_seconds() + self._renew_seconds
        until = self._clock.monotonic_seconds() + predecessor.seconds
        logger.info("predecessor_found", may_act_seconds=round(predecessor.seconds, 1))
        while not self._lock.proves_end_of(predecessor.life):
            now = self._clock.monotonic_seconds()
            if now >= until or stopping.is_set():
                return not stopping.is_set()
            if now >= renew_at:
                await self._leases.renew()
                renew_at = now + self._renew_seconds
            # No event tells that another process let go of a lock.
            await self._clock.wait(stopping, min(_LOCK_POLL_SECONDS, until - now))
        logger.info("predecessor_gone", proof="the lock in the data directory is free")
        return True

    async def _round(self, sessions: asyncio.TaskGroup) -> float:
        """Returns how long to rest, in seconds."""
        lapsed = not await self._leases.renew()
        if lapsed:
            await self._begin_again()
        standing = await self._leases.standing()
        if standing is None:
            return 0.0
        room = standing.share - standing.held
        # Whoever comes back late may not be alone in it: each first finds its own again.
        if room > 0 and not lapsed and await self._leases.take(room):
            self._unsure = True
        if self._unsure or standing.held != len(self._held):
            await self._follow_leases(sessions)
        self._give_away(-room, sessions)
        if standing.seconds_until_lapse is None:
            return self._renew_seconds
        return min(self._renew_seconds, standing.seconds_until_lapse + _LAPSE_MARGIN_SECONDS)

    async def _begin_again(self) -> None:
        """Our lease lapsed: others may have begun, so nothing of ours may go on."""
        logger.warning("leases_lapsed", sessions=len(self._held))
        tasks = [held.task for held in self._held.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._leases.join(replace=False)
        self._unsure = True

    async def _follow_leases(self, sessions: asyncio.TaskGroup) -> None:
        """Opens what is ours and closes what is not, by what the database says."""
        before = set(self._held)
        ours = await self._leases.held()
        self._unsure = False
        for instance_id, held in self._held.items():
            if ours.get(instance_id) != held.lease.epoch:
                held.task.cancel()
        for instance_id in ours.keys() - before:  # what we gave away meanwhile is not ours again
            self._open(Lease(instance_id, ours[instance_id]), sessions)

    def _open(self, lease: Lease, sessions: asyncio.TaskGroup) -> None:
        held = self._held[lease.instance_id] = Held(lease)
        held.task = sessions.create_task(
            self._opener.hold(held), name=f"session {lease.instance_id}"
        )
        held.task.add_done_callback(lambda _task: self._ended(held))

    def _ended(self, held: Held) -> None:
        if not held.giving:
            self._let_go(held)

    def _let_go(self, held: Held) -> None:
        if self._held.get(held.lease.instance_id) is held:
            del self._held[held.lease.instance_id]

    def _give_away(self, max_count: int, sessions: asyncio.TaskGroup) -> None:
        """First those that cannot send anyway."""
        max_count -= sum(held.giving for held in self._held.values())
        if max_count <= 0:
            return
        keeping = [held for held in self._held.values() if not held.giving]
        keeping.sort(key=lambda held: held.lease.instance_id in self.connected)
        for held in keeping[:max_count]:
            self._start_giving(held, sessions)

    def _start_giving(self, held: Held, sessions: asyncio.TaskGroup) -> None:
        held.giving = True
        sessions.create_task(self._give(held), name=f"give {held.lease.instance_id}")

    async def _give(self, held: Held) -> None:
        """Ends the work on a line, then its session, then the lease."""
        self.connected.remove(held.lease.instance_id)
        try:
            if held.live:
                await self._clock.wait(held.live.unused, self._give_seconds)
            held.task.cancel()
            await asyncio.wait({held.task})
            await self._leases.give(held.lease)
        except _DATABASE_ERRORS as error:
            logger.warning("lease_not_given", error=str(error))
        finally:
            self._let_go(held)

    def _touch(self, instance_id: str) -> None:
        self._touched.add(instance_id)
        self._touch_wakeup.set()
        self._wakeup.set()

    def _touch_all(self) -> None:
        """Announcements may have been lost."""
        for instance_id in self._held:
            self._touch(instance_id)
        self._wakeup.set()

    def _on_opened(self, instance_id: str) -> None:
        """Its settings may have changed since they were looked up."""
        if awaited := self._awaited.pop(instance_id, None):
            awaited.set()
        self._touched.add(instance_id)
        self._touch_wakeup.set()

    async def _refresh_until(self, stopping: asyncio.Event, sessions: asyncio.TaskGroup) -> None:
        """Beside the rounds: thousands may change at once, and no renewal waits for them."""
        async with waking(self._touch_wakeup, when=stopping):
            while not stopping.is_set():
                await self._touch_wakeup.wait()
                self._touch_wakeup.clear()
                while self._touched and not stopping.is_set():
                    instance_id = self._touched.pop()
                    try:
                        await self._refresh(instance_id, sessions)
                    except _DATABASE_ERRORS as error:
                        logger.warning("settings_wait_for_database", error=str(error))
                        self._touched.add(instance_id)
                        await self._clock.wait(stopping, _PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)

    async def _refresh(self, instance_id: str, sessions: asyncio.TaskGroup) -> None:
        """Settings of an open session changed, or the instance was deleted."""
        if instance_id not in self._held:
            return
        instance = await self._instances.find(instance_id)
        held = self._held.get(instance_id)
        if held is None:
            return
        if instance is None:
            held.task.cancel()
        elif not instance.wanted and not held.giving:
            self._start_giving(held, sessions)
        elif live := held.live:
            before, live.instance = live.instance, instance
            if instance.sealed_proxy != before.sealed_proxy and not held.giving:
                sessions.create_task(self._reroute(held, live), name=f"reroute {instance_id}")

    async def _reroute(self, held: Held, live: LiveSession) -> None:
        """Opens the session by the new way, once the attempt under way has its answer."""
        self.connected.remove(live.instance.id)
        await self._clock.wait(live.unused, self._give_seconds)
        if held.live is live and not held.giving:
            held.reopen()
