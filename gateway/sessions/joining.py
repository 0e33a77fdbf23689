"""Joins a node to the others, and waits until no earlier process of the node can act."""

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.observability.logging import logger
from gateway.sessions.leases import Leases, Predecessor
from gateway.sessions.node_lock import NodeLock

_LOCK_POLL_SECONDS = 0.1


@dataclass(slots=True)
class _Wait:
    """Times on the monotonic clock: when the wait is over, and when to renew during it."""

    predecessor: Predecessor
    until: float
    renew_at: float


class Joining:
    """The start of a node; `is_done` says that the node owns the leases stored under its name.

    A node that is killed and started again finds its earlier process in the database. That process
    or its children may still send, so the node acquires nothing until the lock in its data
    directory proves their end, or until their leases have lapsed.
    """

    def __init__(
        self, leases: Leases, lock: NodeLock, clock: Clock, *, renew_seconds: float
    ) -> None:
        self._leases, self._lock, self._clock = leases, lock, clock
        self._renew_seconds = renew_seconds
        self._wait: _Wait | None = None
        self.is_done = False

    async def run_step(self) -> float:
        """Joins, or looks whether the wait is over; returns the seconds until the next step.

        Raises:
            DatabaseUnavailable: call it again later; it goes on with the same wait.
        """
        if self._wait is None:
            predecessor = await self._leases.join()
            if predecessor is None:
                return self._finish()
            self._wait = self._start_wait(predecessor)
        if not self._is_over(self._wait):
            return await self._renew_during(self._wait)
        await self._leases.reacquire()
        return self._finish()

    def _start_wait(self, predecessor: Predecessor) -> _Wait:
        logger.info("predecessor_found", may_act_seconds=round(predecessor.seconds, 1))
        now = self._clock.monotonic_seconds()
        return _Wait(predecessor, now + predecessor.seconds, now + self._renew_seconds)

    def _is_over(self, wait: _Wait) -> bool:
        now = self._clock.monotonic_seconds()
        if now < wait.until and self._lock.proves_end_of(wait.predecessor.life):
            logger.info("predecessor_gone", proof="the lock in the data directory is free")
            wait.until = now
        return now >= wait.until

    async def _renew_during(self, wait: _Wait) -> float:
        now = self._clock.monotonic_seconds()
        if now >= wait.renew_at:
            await self._leases.renew()
            wait.renew_at = now + self._renew_seconds
        # The end of another process sets no event, so the lock is polled.
        return min(_LOCK_POLL_SECONDS, max(0.0, wait.until - now))

    def _finish(self) -> float:
        self._lock.record_owner(self._leases.life)
        self.is_done = True
        return 0.0
