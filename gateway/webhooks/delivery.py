"""Posts callbacks, oldest first in each chat, until they are delivered or given up."""

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from urllib.parse import urlsplit

from gateway.account_turns import AccountTurns
from gateway.clock import Clock
from gateway.database.payload_seal import UnopenedText
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.instances.tokens import TokenVault
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.observability.traffic import TrafficCounts
from gateway.periodic_loop import PeriodicLoop
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.circuit_breakers import CircuitBreakers
from gateway.webhooks.claimed_callback import ClaimedCallback
from gateway.webhooks.deliveries_in_flight import DeliveriesInFlight, SkippedQueues
from gateway.webhooks.delivery_recorder import DeliveryRecorder, PostAttempt, QueueProgress
from gateway.webhooks.due_times import DueTimes
from gateway.webhooks.posting import DeliveryResult, Poster, target_of

_CLAIM_QUEUES = query("webhooks", "claim_delivery_queues")
_RELEASE_CLAIMS = query("webhooks", "release_claims")
_RELEASE_LOST_CLAIMS = query("webhooks", "release_lost_claims")
_DELETE_EMPTY_QUEUES = query("webhooks", "delete_empty_delivery_queues")
_WAKE_RECEIVER = query("webhooks", "wake_receiver")

_MAX_PAUSE_SECONDS = 5.0
_CALLBACKS_PER_CLAIM = 20
_SERVER_ERROR = 500
_DELETE_EMPTY_EVERY_SECONDS = 60.0
_PAUSE_WHEN_RECEIVER_IS_BUSY_SECONDS = 0.1
_MANY_QUEUES = 10
"""A claim of so many needs no interval before the next one."""


@dataclass(frozen=True, slots=True)
class DeliveryLimits:
    """How many delivery queues are in flight at most, and how many seconds a claim lasts."""

    in_flight: int = 256
    claim_seconds: float = 60.0


class Delivery:
    """Posts the callbacks of the delivery queues that are due. Any number of nodes may run one."""

    def __init__(
        self,
        database: Database,
        poster: Poster,
        recorder: DeliveryRecorder,
        breakers: CircuitBreakers,
        clock: Clock,
        *,
        vault: TokenVault,
        node_id: str,
        schedule: RetrySchedule,
        limits: DeliveryLimits,
        metrics: Metrics,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
        turns: AccountTurns | None = None,
        traffic: TrafficCounts | None = None,
        claim_interval_seconds: float = 0.0,
    ) -> None:
        self._due_times = DueTimes(database, clock)
        self._claim_interval_seconds, self._claim_at = claim_interval_seconds, float("-inf")
        self._database, self._poster, self._recorder = database, poster, recorder
        self._breakers, self._vault, self._clock = breakers, vault, clock
        self._metrics, self._schedule, self._limits = metrics, schedule, limits
        self._node_id, self._claims_released = node_id, False
        self._lost_claims: dict[uuid.UUID, float] = {}
        """Claims whose answer was lost, and when each lapses by itself."""
        self._answering_again: set[str] = set()
        """Receivers that answer again; Postgres does not know it yet."""
        self._new_uuid, self._turns = new_uuid, turns or AccountTurns()
        self._traffic = traffic or TrafficCounts(clock)
        self._loop = PeriodicLoop("webhooks", self._deliver_due, clock)
        self._deliveries: asyncio.TaskGroup | None = None
        self._in_flight = DeliveriesInFlight(
            limits.in_flight,
            max_per_source=breakers.max_in_flight,
            is_shared=self._turns.is_shared,
            on_freed=self._loop.wake,
        )
        self._stopping = False
        self._delete_empty_at = 0.0

    def wake(self) -> None:
        """Looks for due queues at once: there may be callbacks to post."""
        self._loop.wake()

    async def run_until(self, stopping: asyncio.Event) -> None:
        self._claims_released = False  # those of a run that failed, too
        try:
            async with asyncio.TaskGroup() as self._deliveries:
                await self._loop.run_until(stopping)
                self._stopping = True
        finally:
            self._poster.close()

    async def _deliver_due(self) -> float:
        """Starts a task for each queue that is due; returns the pause in seconds."""
        await self._clock.sleep(max(0.0, self._claim_at - self._clock.monotonic_seconds()))
        await self._maintain()
        free = self._in_flight.count_free()
        if free <= 0:
            return _MAX_PAUSE_SECONDS  # a delivery that ends wakes the loop
        skipped = self._in_flight.skipped(self._breakers)
        self._metrics.blocked_receivers.set(self._breakers.count_open())
        claimed = await self._claim(free, skipped)
        if claimed < _MANY_QUEUES:  # more callbacks share the next claim
            self._claim_at = self._clock.monotonic_seconds() + self._claim_interval_seconds
        if claimed == free or self._loop.is_woken:
            return 0.0
        return await self._due_times.seconds(skipped)

    async def _claim(self, max_count: int, skipped: SkippedQueues) -> int:
        """Returns how many queues were claimed."""
        claim_id = self._new_uuid()
        try:
            rows = await self._database.fetch_all(
                ClaimedCallback,
                _CLAIM_QUEUES,
                max_count=max_count,
                per_queue=_CALLBACKS_PER_CLAIM,
                claim_seconds=self._limits.claim_seconds,
                claim_id=claim_id,
                node_id=self._node_id,
                max_per_source=self._breakers.max_in_flight,
                blocked=skipped.blocked,
                full_accounts=skipped.full_accounts,
                full_sources=skipped.full_sources,
            )
        except DatabaseUnavailable:
            lapses_at = self._clock.monotonic_seconds() + self._limits.claim_seconds
            self._lost_claims[claim_id] = lapses_at
            raise
        assert self._deliveries is not None
        queues = [list(queue) for _, queue in groupby(rows, key=lambda row: row.queue)]
        for queue in queues:
            task = self._deliveries.create_task(self._deliver(queue, claim_id))
            self._in_flight.add(task, queue[0].account_id, queue[0].queue)
        return len(queues)

    async def _maintain(self) -> None:
        if not self._claims_released:
            await self._database.execute(_RELEASE_CLAIMS, node_id=self._node_id)
            self._claims_released = True
        await self._release_lost_claims()
        for receiver in tuple(self._answering_again):
            await self._wake_receiver(receiver)
        now = self._clock.monotonic_seconds()
        if now >= self._delete_empty_at:
            self._delete_empty_at = now + _DELETE_EMPTY_EVERY_SECONDS
            await self._database.execute(_DELETE_EMPTY_QUEUES)

    async def _release_lost_claims(self) -> None:
        """Frees the queues of lost claims; again and again, because a claim may arrive late."""
        if not self._lost_claims:
            return
        await self._database.execute(
            _RELEASE_LOST_CLAIMS, node_id=self._node_id, claim_ids=list(self._lost_claims)
        )
        now = self._clock.monotonic_seconds()
        self._lost_claims = {id_: at for id_, at in self._lost_claims.items() if at > now}

    async def _wake_receiver(self, receiver: str) -> None:
        self._answering_again.add(receiver)
        await self._database.execute(_WAKE_RECEIVER, receiver=receiver)
        self._answering_again.discard(receiver)

    async def _deliver(self, queue: Sequence[ClaimedCallback], claim_id: uuid.UUID) -> None:
        """Posts from one queue; an error here touches no other queue."""
        try:
            progress = await self._deliver_if_free(queue, claim_id)
        except Exception as error:  # noqa: BLE001 - the claim lapses, and the queue is due again
            report_error(error, component="webhooks", instance_id=queue[0].instance_id)
            return
        finally:
            is_down = self._breakers.is_down(queue[0].receiver)
            self._in_flight.posted(queue[0].queue, is_down=is_down)
        await self._recorder.due()
        async with self._turns.turn(queue[0].account_id):
            has_more = await self._recorder.finish(progress)
        if progress.pause_seconds:
            self._due_times.drop()
        if has_more:
            self._loop.wake()

    async def _deliver_if_free(
        self, queue: Sequence[ClaimedCallback], claim_id: uuid.UUID
    ) -> QueueProgress:
        receiver = queue[0].receiver
        if not self._breakers.enter(receiver):
            return self._postponed(queue[0], claim_id)
        try:
            return await self._post_in_order(queue, claim_id)
        finally:
            if self._breakers.leave(receiver):
                self._loop.wake()

    def _postponed(self, head: ClaimedCallback, claim_id: uuid.UUID) -> QueueProgress:
        """Leaves the queue for later: its receiver is busy or blocked.

        After a long outage the first callback is given up.
        """
        seconds_open = self._breakers.seconds_open(head.receiver)
        is_down = self._breakers.is_down(head.receiver)
        give_up = is_down and self._schedule.is_over(head.failing_seconds or 0.0)
        return QueueProgress(
            head.queue,
            claim_id,
            up_to=head.position if give_up else head.position - 1,
            attempts=head.attempts_before,
            pause_seconds=0.0 if give_up else seconds_open or _PAUSE_WHEN_RECEIVER_IS_BUSY_SECONDS,
            error="the receiver does not answer" if is_down else None,
            dead=head.id if give_up else None,
            receiver=None if give_up else head.receiver,
        )

    async def _post_in_order(
        self, queue: Sequence[ClaimedCallback], claim_id: uuid.UUID
    ) -> QueueProgress:
        """Posts one callback after another until one fails or half of the claim's time is over."""
        head, log = queue[0], list[PostAttempt]()
        stop_at = self._clock.monotonic_seconds() + self._limits.claim_seconds / 2
        up_to, attempts = head.position - 1, head.attempts_before
        for callback in queue:
            if callback.url is not None and callback.is_wanted:
                if callback.receiver != head.receiver:
                    break  # the webhook changed; the next claim asks the new receiver's breaker
                result = await self._post(callback, callback.url, attempts + 1, log)
                if not result.delivered:
                    return self._failed(
                        callback,
                        result,
                        claim_id,
                        attempts + 1,
                        progressed=callback is not head,
                        log=log,
                    )
            up_to, attempts = callback.position, 0
            if self._stopping or self._clock.monotonic_seconds() > stop_at:
                break
        return QueueProgress(head.queue, claim_id, up_to, progressed=True, log=tuple(log))

    async def _post(
        self, callback: ClaimedCallback, url: str, attempt: int, log: list[PostAttempt]
    ) -> DeliveryResult:
        if isinstance(callback.body, UnopenedText):
            return self._unopened(callback, callback.body.reason)
        result = await self._poster.post(callback.request(url, self._vault))
        log.append(
            PostAttempt(
                callback.queue,
                callback.id,
                callback.type,
                target_of(url),
                attempt,
                result.seconds,
                result.status,
                result.error,
                result.answer,
            )
        )
        self._count(callback, result)
        await self._record_for_breaker(callback.receiver, result)
        return result

    def _unopened(self, callback: ClaimedCallback, reason: str) -> DeliveryResult:
        """Posts nothing; the callback becomes a dead letter, and its queue goes on."""
        result = DeliveryResult(0.0, error=reason, unopened=True)
        self._count(callback, result)
        return result

    async def _record_for_breaker(self, receiver: str, result: DeliveryResult) -> None:
        """Records the result; an answer after an outage makes the receiver's queues due."""
        if result.retry_after_seconds is not None and result.retry_after_seconds > 0:
            self._breakers.open_for(
                receiver, min(result.retry_after_seconds, self._schedule.max_asked_seconds)
            )
        elif result.status is None:
            self._breakers.record_silence(receiver)
        elif self._breakers.record_answer(
            receiver, result.seconds, is_error=result.status >= _SERVER_ERROR
        ):
            logger.info("receiver_answers_again", target=receiver.rpartition(" ")[2])
            try:
                await self._wake_receiver(receiver)
            except DatabaseUnavailable as error:  # the loop does it
                logger.warning("database_unavailable", component="webhooks", error=str(error))
            self._loop.wake()

    def _failed(
        self,
        callback: ClaimedCallback,
        result: DeliveryResult,
        claim_id: uuid.UUID,
        attempts: int,
        *,
        progressed: bool,
        log: list[PostAttempt],
    ) -> QueueProgress:
        pause = self._schedule.pause_after(attempts, asked_seconds=result.retry_after_seconds)
        outage_seconds = 0.0 if progressed else callback.failing_seconds or 0.0
        dead = result.gone or pause is None or self._schedule.is_over(outage_seconds)
        no_answer = result.status is None and not result.unopened
        is_down = no_answer or self._breakers.is_down(callback.receiver)
        return QueueProgress(
            callback.queue,
            claim_id,
            callback.position if dead else callback.position - 1,
            progressed=progressed,
            attempts=attempts,
            pause_seconds=0.0 if dead else pause or 0.0,
            error=result.error,
            dead=callback.id if dead else None,
            receiver=callback.receiver if is_down else None,
            log=tuple(log),
        )

    def _count(self, callback: ClaimedCallback, result: DeliveryResult) -> None:
        # The label values are historic: alerts and dashboards use them.
        self._metrics.posted(callback.type, "taken" if result.delivered else "not_taken")
        if result.delivered:
            lag_seconds = max(0.0, (self._clock.now() - callback.created_at).total_seconds())
            self._metrics.callback_latency.observe(lag_seconds)
            self._traffic.delivered(callback.instance_id, lag_seconds=lag_seconds)
        else:
            self._traffic.not_delivered(callback.instance_id)
        logger.log(
            logging.DEBUG if result.delivered else logging.INFO,
            "webhook_delivered" if result.delivered else "webhook_failed",
            instance_id=callback.instance_id,
            message_type=callback.type,
            callback_id=str(callback.id),
            target=urlsplit(callback.url or "").hostname,
            reason=result.error,
        )
