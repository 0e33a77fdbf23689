"""Owns this node's share of the leases, and keeps a session open for each."""

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Final
from weakref import WeakValueDictionary

import psycopg

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.errors import DatabaseUnavailable, NodeReplaced, SessionUnavailable
from gateway.instances.store import Instances
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop
from gateway.sessions.joining import Joining
from gateway.sessions.leases import Lease, Leases, LeaseShare
from gateway.sessions.live import LiveSession
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.opening import Opener, OwnedLease
from gateway.sessions.provider import Session

_DATABASE_ERRORS: Final = (DatabaseUnavailable, psycopg.Error)
_REOPEN_SECONDS = 30.0
_RETRY_SECONDS = 0.5
# Leases have certainly lapsed this long after they may lapse.
_LAPSE_MARGIN_SECONDS = 0.02
_LATE_STATEMENT_SECONDS = 60.0


class Keeper:
    """Acquires and releases leases in rounds.

    first   join -> wait until an earlier process of this node acts no more
    then    renew -> count -> acquire leases up to the share, or release what exceeds it
              |
              +--> the leases have lapsed: join again, close the sessions of lost leases

    Each owned lease has a task that keeps its session open. Tasks that release a lease, or that
    reopen a session with another proxy, run beside the rounds. All of them end with `run_until`.
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
        release_seconds: float,
    ) -> None:
        """Owns nothing before it runs.

        Args:
            leases: of this node.
            instances: finds the settings of instances.
            opener: opens the sessions.
            clock: time.
            lock: of this node; proves that an earlier process has ended.
            renew_seconds: from one renewal to the next.
            release_seconds: how long an attempt in flight may delay the release of its lease, or
                the change to another proxy.
        """
        self._leases, self._instances, self._opener = leases, instances, opener
        self._clock = clock
        self._renew_seconds, self._release_seconds = renew_seconds, release_seconds
        self._joining = Joining(leases, lock, clock, renew_seconds=renew_seconds)
        self._is_unsure, self._has_lapsed = True, False
        self._unsure_until = 0.0
        self._owned: dict[str, OwnedLease] = {}
        self._changed: set[str] = set()
        self._forced: set[str] = set()
        self._opened = WeakValueDictionary[str, asyncio.Event]()
        self._round_wakeup, self._settings_wakeup = asyncio.Event(), asyncio.Event()
        self.connected = opener.connected

    def listen(self, notifications: Notifications) -> None:
        """Subscribes to changes of instances, and to leases that become free."""
        notifications.subscribe(
            "instance_changed", self._note_change, on_reconnect=self._note_all_changed
        )
        notifications.subscribe("leases", lambda _payload: self._round_wakeup.set())

    def session(self, instance_id: str) -> Session | None:
        """Returns the open session of an instance, connected or not."""
        owned = self._owned.get(instance_id)
        return owned.live.session if owned and owned.live else None

    async def session_within(self, instance_id: str, seconds: float) -> Session | None:
        """Returns the open session of an instance; waits until this node has opened it."""
        if session := self.session(instance_id):
            return session
        opened = self._opened.setdefault(instance_id, asyncio.Event())
        await self._clock.wait(opened, seconds)
        return self.session(instance_id)

    def owned(self) -> Iterator[tuple[Lease, LiveSession | None]]:
        """Yields the leases of this node that it is not releasing, each with its open session."""
        for owned in self._owned.values():
            if not owned.is_releasing:
                yield owned.lease, owned.live

    def take_forced(self) -> set[str]:
        """Returns the instances whose sessions a caller had opened again since the last call."""
        forced, self._forced = self._forced, set()
        return forced

    def epoch(self, instance_id: str) -> int | None:
        """Returns the epoch of an instance's lease; None if this node does not own the lease."""
        owned = self._owned.get(instance_id)
        return owned.lease.epoch if owned else None

    async def reopen(self, instance_id: str) -> None:
        """Closes the session of an instance and opens it again; returns once it is open.

        Raises:
            SessionUnavailable: this node does not own the lease, or the session did not open
                in time.
        """
        owned = self._owned.get(instance_id)
        if owned is None:
            raise SessionUnavailable("The session of this instance is not open right now")
        self._forced.add(instance_id)
        owned.reopen()
        if not await self._clock.wait(owned.opened, _REOPEN_SECONDS):
            raise SessionUnavailable("The session did not open again in time")

    def revive(self, instance_id: str) -> None:
        """Opens the session of an instance again, if this node owns the lease.

        The watchdog calls it for a queue that counts as connected without a connected session.
        """
        owned = self._owned.get(instance_id)
        if owned and not owned.is_releasing:
            owned.reopen()
        self._is_unsure = True  # there may be a lease without a task
        self._round_wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Closes the sessions and releases the leases before it returns.

        Raises:
            NodeReplaced: another process has the name of this node.
        """
        async with asyncio.TaskGroup() as tasks:
            settings = PeriodicLoop(
                "session_settings",
                partial(self._refresh_changed, tasks, stopping),
                self._clock,
                wakeup=self._settings_wakeup,
                retry_seconds=_RETRY_SECONDS,
            )
            tasks.create_task(settings.run_until(stopping), name="session settings")
            rounds = PeriodicLoop(
                "leases",
                partial(self._run_round, tasks),
                self._clock,
                wakeup=self._round_wakeup,
                retry_seconds=_RETRY_SECONDS,
                fatal=(NodeReplaced,),
            )
            await rounds.run_until(stopping)
            for owned in self._owned.values():
                owned.task.cancel()
        if not self._joining.is_done:
            return  # an earlier process may still act: its leases must not become free
        try:
            await self._leases.leave()
        except _DATABASE_ERRORS as error:
            logger.warning("leases_left_to_lapse", error=str(error))

    async def _run_round(self, tasks: asyncio.TaskGroup) -> float:
        """Returns the pause before the next round, in seconds."""
        try:
            if not self._joining.is_done:
                return await self._joining.run_step()
            return await self._update_leases(tasks)
        except _DATABASE_ERRORS:
            self._expect_late_statements()
            raise

    def _expect_late_statements(self) -> None:
        """Postgres may have committed what it did not answer, or may still run it.

        A `reacquire` that it runs late gives every lease a new epoch under its open session.
        """
        self._unsure_until = self._clock.monotonic_seconds() + _LATE_STATEMENT_SECONDS

    async def _update_leases(self, tasks: asyncio.TaskGroup) -> float:
        # `renew` succeeds again as soon as this node has joined, also if that answer was lost.
        lapsed = self._has_lapsed or not await self._leases.renew()
        if lapsed:
            self._has_lapsed = True
            await self._join_again()
            self._has_lapsed = False
        share = await self._leases.share()
        if share is None:
            return 0.0
        lacking = share.share - share.owned
        # A node that joins again acquires nothing in its first round. Other nodes may do the
        # same, and each is to get the leases back that are stored under its name.
        if lacking > 0 and not lapsed and await self._leases.acquire(lacking):
            self._is_unsure = True
        is_unsure = self._is_unsure or self._clock.monotonic_seconds() < self._unsure_until
        if is_unsure or share.owned != len(self._owned):
            await self._follow_leases(tasks)
        self._release_excess(-lacking, tasks)
        return self._pause_after(share)

    def _pause_after(self, share: LeaseShare) -> float:
        if share.seconds_until_lapse is None:
            return self._renew_seconds
        return min(self._renew_seconds, share.seconds_until_lapse + _LAPSE_MARGIN_SECONDS)

    async def _join_again(self) -> None:
        """Keeps the sessions whose leases no other node acquired meanwhile.

        No session may act before those of lost leases are closed: other nodes may have opened
        theirs for the same instances.
        """
        rejoined = await self._leases.rejoin()
        epochs = await self._leases.owned()
        lost = [
            owned.task
            for instance_id, owned in self._owned.items()
            if epochs.get(instance_id) != owned.lease.epoch
        ]
        logger.warning("leases_lapsed", sessions=len(self._owned), closed=len(lost))
        for task in lost:
            task.cancel()
        if lost:
            await asyncio.wait(lost)
        self._leases.act_again(rejoined)
        self._is_unsure = True
        for owned in self._owned.values():
            if owned.live is None and not owned.is_releasing:
                owned.reopen()  # it failed while Postgres was away, and pauses

    async def _follow_leases(self, tasks: asyncio.TaskGroup) -> None:
        """Opens and closes sessions until they match the leases in the database."""
        # A lease that is released during the query must not be opened again by its result.
        before = set(self._owned)
        epochs = await self._leases.owned()
        self._is_unsure = False
        for instance_id, owned in self._owned.items():
            if epochs.get(instance_id) != owned.lease.epoch:
                owned.task.cancel()
        for instance_id in epochs.keys() - before:
            self._open(Lease(instance_id, epochs[instance_id]), tasks)

    def _open(self, lease: Lease, tasks: asyncio.TaskGroup) -> None:
        owned = self._owned[lease.instance_id] = OwnedLease(lease)
        owned.task = tasks.create_task(
            self._opener.keep_open(owned, on_opened=self._on_opened),
            name=f"session {lease.instance_id}",
        )
        owned.task.add_done_callback(lambda _task: self._on_closed(owned))

    def _on_closed(self, owned: OwnedLease) -> None:
        if not owned.is_releasing:
            self._remove(owned)

    def _remove(self, owned: OwnedLease) -> None:
        if self._owned.get(owned.lease.instance_id) is owned:
            del self._owned[owned.lease.instance_id]

    def _release_excess(self, count: int, tasks: asyncio.TaskGroup) -> None:
        """Releases *count* leases, first those of sessions that cannot send anyway."""
        count -= sum(owned.is_releasing for owned in self._owned.values())
        if count <= 0:
            return
        candidates = [owned for owned in self._owned.values() if not owned.is_releasing]
        candidates.sort(key=lambda owned: owned.lease.instance_id in self.connected)
        for owned in candidates[:count]:
            self._start_release(owned, tasks)

    def _start_release(self, owned: OwnedLease, tasks: asyncio.TaskGroup) -> None:
        owned.is_releasing = True
        tasks.create_task(self._release(owned), name=f"release {owned.lease.instance_id}")

    async def _release(self, owned: OwnedLease) -> None:
        """Waits for the attempt in flight, closes the session, then releases the lease."""
        self.connected.remove(owned.lease.instance_id)
        try:
            if owned.live:
                await self._clock.wait(owned.live.unused, self._release_seconds)
            owned.task.cancel()
            await asyncio.wait({owned.task})
            await self._leases.release(owned.lease)
        except _DATABASE_ERRORS as error:
            logger.warning("lease_not_released", error=str(error))
            self._expect_late_statements()
        finally:
            self._remove(owned)

    def _note_change(self, instance_id: str) -> None:
        self._changed.add(instance_id)
        self._settings_wakeup.set()
        self._round_wakeup.set()

    def _note_all_changed(self) -> None:
        """Notifications may have been lost."""
        for instance_id in self._owned:
            self._note_change(instance_id)
        self._round_wakeup.set()

    def _on_opened(self, instance_id: str) -> None:
        if opened := self._opened.pop(instance_id, None):
            opened.set()
        # The settings may have changed between the read for the opening and now.
        self._changed.add(instance_id)
        self._settings_wakeup.set()

    async def _refresh_changed(self, tasks: asyncio.TaskGroup, stopping: asyncio.Event) -> None:
        """Runs beside the rounds: a thousand changes at once must not delay a renewal."""
        while self._changed and not stopping.is_set():
            instance_id = self._changed.pop()
            try:
                await self._refresh(instance_id, tasks)
            except _DATABASE_ERRORS:
                self._changed.add(instance_id)
                raise

    async def _refresh(self, instance_id: str, tasks: asyncio.TaskGroup) -> None:
        """Applies the settings of an instance to its session; closes it for a deleted instance."""
        if instance_id not in self._owned:
            return
        instance = await self._instances.find(instance_id)
        owned = self._owned.get(instance_id)
        if owned is None:
            return
        if instance is None:
            owned.task.cancel()
        elif not instance.wanted and not owned.is_releasing:
            self._start_release(owned, tasks)
        elif live := owned.live:
            before, live.instance = live.instance, instance
            if instance.sealed_proxy != before.sealed_proxy and not owned.is_releasing:
                tasks.create_task(self._change_proxy(owned, live), name=f"proxy {instance_id}")

    async def _change_proxy(self, owned: OwnedLease, live: LiveSession) -> None:
        """Reopens the session with its new proxy, after the attempt in flight has its outcome."""
        self.connected.remove(live.instance.id)
        await self._clock.wait(live.unused, self._release_seconds)
        if owned.live is live and not owned.is_releasing:
            owned.reopen()
