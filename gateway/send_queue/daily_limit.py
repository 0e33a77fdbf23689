"""Holds a queue whose instance has sent as many messages as it may per day."""

from dataclasses import dataclass

from gateway.clock import Clock
from gateway.errors import DatabaseUnavailable
from gateway.instances.store import Instance
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.send_queue.claim import Claimer, Day
from gateway.send_queue.claim_cursor import ClaimedMessage
from gateway.send_queue.outcome import Held
from gateway.send_queue.pacing import SendPolicy
from gateway.send_queue.recorder import OutcomeRecorder

_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class DailyLimit:
    """Compares what an instance sent today with its limit."""

    claimer: Claimer
    recorder: OutcomeRecorder
    metrics: Metrics
    clock: Clock
    policy: SendPolicy

    async def hold(self, row: ClaimedMessage, instance: Instance) -> bool:
        """Holds the queue until the end of the day if the limit is reached; says if it is.

        A change of the limit ends such a hold, once, when the change is stored. The session may
        still have the old limit then. So this compares with the stored limit before the hold, and
        ends the hold if the stored limit changed while it was being written.
        """
        if await self._day_if_reached(row, self._limit_of(instance)) is None:
            return False
        limit = await self._stored(row, instance)
        day = await self._day_if_reached(row, limit)
        if day is None:
            return False
        held = Held(day.ends_at, f"Daily limit of {limit} messages reached", "daily_limit")
        await self.recorder.record(row, held)
        self.metrics.held(held.kind, row.instance_id)
        logger.info(
            "daily_limit_reached", instance_id=row.instance_id, component="worker", limit=limit
        )
        while not await self._ended_outdated_hold(row, instance, limit):
            await self.clock.sleep(_RETRY_SECONDS)
        return True

    async def _ended_outdated_hold(
        self, row: ClaimedMessage, instance: Instance, limit: int
    ) -> bool:
        """Ends the hold if the limit changed meanwhile; False if Postgres did not answer.

        Nothing else would end that hold before the next day.
        """
        try:
            if await self._stored(row, instance) != limit:
                await self.claimer.end_daily_limit_hold(row.instance_id)
        except DatabaseUnavailable as error:
            logger.warning(
                "database_unavailable",
                instance_id=row.instance_id,
                component="worker",
                error=str(error),
            )
            return False
        return True

    async def _day_if_reached(self, row: ClaimedMessage, limit: int) -> Day | None:
        """Returns today if its limit is reached; None if not, or if there is no limit (0)."""
        if not limit:
            return None
        day = await self.claimer.sent_today(row.instance_id, max_count=limit)
        return day if day.sent >= limit else None

    async def _stored(self, row: ClaimedMessage, instance: Instance) -> int:
        return self._limit_of(await self.claimer.stored_instance(row.instance_id) or instance)

    def _limit_of(self, instance: Instance) -> int:
        return self.policy.limit_of(instance, self.clock.now())
