"""Waits until messages are out, for callers who asked to be told at once.

All who wait on this node share one question to the database, asked when something was recorded
here and, for what other nodes record, a few times a second; nobody waiting, nothing asked.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.wakeups import waking

_STATES_OF = query("send_queue", "states_of")

_ROUND_SECONDS = 0.25
_GAP_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a message came; settled once it is sent, failed or canceled."""

    message_id: str
    status: str
    error: str | None
    settled: bool


@dataclass(slots=True, eq=False)
class _Follower:
    instance_id: str
    done: asyncio.Event = field(default_factory=asyncio.Event)
    progress: Progress | None = None
    callers: int = 0  # a repeated request waits for the same message


class CompletionWaiters:
    """Part of the service; when it stops, whoever waits is told how far their message came."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._following: dict[str, _Follower] = {}
        self._wakeup = asyncio.Event()
        self._stopped = False

    def wake(self) -> None:
        """Something was recorded."""
        if self._following:
            self._wakeup.set()

    async def follow(
        self, instance_id: str, message_id: str, *, max_seconds: float
    ) -> Progress | None:
        """Returns once the message is settled, or how far it came in *most_seconds*."""
        follower = self._following.setdefault(message_id, _Follower(instance_id))
        follower.callers += 1
        self._wakeup.set()
        try:
            if not self._stopped:
                await self._clock.wait(follower.done, max_seconds)
        finally:
            follower.callers -= 1
            if not follower.callers:
                del self._following[message_id]
        return follower.progress

    async def run_until(self, stopping: asyncio.Event) -> None:
        async with waking(self._wakeup, when=stopping):
            while not stopping.is_set():
                await self._clock.wait(self._wakeup, _ROUND_SECONDS if self._following else None)
                self._wakeup.clear()
                try:
                    await self._look()
                except DatabaseUnavailable as error:
                    logger.warning("followers_wait_for_database", error=str(error))
                await self._clock.wait(stopping, _GAP_SECONDS)
        self._stopped = True
        for follower in self._following.values():
            follower.done.set()

    async def _look(self) -> None:
        following = dict(self._following)
        if not following:
            return
        rows = await self._database.fetch_all(
            Progress,
            _STATES_OF,
            instance_ids=[follower.instance_id for follower in following.values()],
            message_ids=list(following),
        )
        self._tell(following, rows)

    def _tell(self, following: Mapping[str, _Follower], rows: list[Progress]) -> None:
        for row in rows:
            following[row.message_id].progress = row
            if row.settled:
                following[row.message_id].done.set()
