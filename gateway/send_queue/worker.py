r"""Sends the messages of one instance, one at a time, in order.

    claim -> pace -> address -> show typing -> start -> send -> record -> claim ...
         \-> fetch files ------------------/

Until `start`, no attempt counts: a caller can cancel the message, and the worker can hand it back.
"""

import asyncio
import math
from dataclasses import dataclass, field, replace

from gateway.clock import Clock
from gateway.contract.internal.presence import ShowTyping
from gateway.contract.send import OutgoingMessage
from gateway.database.payload_seal import Unopened
from gateway.errors import CallerError, DatabaseUnavailable, NotConnected
from gateway.history.store import History
from gateway.instances.store import Instance
from gateway.media.preparing import Preparer, Preparing
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.randomness import Uniform
from gateway.send_queue.activity import WorkerActivity
from gateway.send_queue.addressing import MAX_ADDRESSING_SECONDS, Addressed, NumberDirectory
from gateway.send_queue.attempts import Attempts, UncalledAttempts
from gateway.send_queue.claim import ClaimCursor, ClaimedMessage, Claimer, Day
from gateway.send_queue.outcome import (
    Failed,
    HandedBack,
    Held,
    Outcome,
    RetryPolicy,
    Sent,
)
from gateway.send_queue.pacing import SendPolicy, pause_before
from gateway.send_queue.recorder import OutcomeRecorder
from gateway.send_queue.start import Starter
from gateway.send_queue.stored_message import decode, masked
from gateway.sessions.live import LiveSession

_UNREADABLE_PAUSE_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_LATE_STATEMENT_SECONDS = 60.0
_RECLAIM_SECONDS = 5.0
_OWNED_CHECK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WorkerDependencies:
    """Services and settings that all workers of this process share."""

    claimer: Claimer
    starter: Starter
    recorder: OutcomeRecorder
    history: History
    preparer: Preparer
    metrics: Metrics
    clock: Clock
    uniform: Uniform
    retry_policy: RetryPolicy
    send_policy: SendPolicy
    numbers: NumberDirectory
    send_timeout_seconds: float
    uncalled: UncalledAttempts = field(default_factory=UncalledAttempts)


class Worker:
    """Sends for one live session.

    Not a PeriodicLoop: an unexpected error must end the worker, so that the coordinator rescues
    the message that was in flight before a new worker begins.
    """

    def __init__(
        self,
        live: LiveSession,
        deps: WorkerDependencies,
        wakeup: asyncio.Event,
        activity: WorkerActivity | None = None,
    ) -> None:
        """Prepares the worker.

        Args:
            live: the session it sends for.
            deps: what all workers share.
            wakeup: is set when a message may wait, and to make the worker leave.
            activity: notes what the worker does.
        """
        self._live, self._deps, self._wakeup = live, deps, wakeup
        self._activity = activity or WorkerActivity(deps.clock)
        self._cursor = ClaimCursor(live.instance.id, live.epoch)
        self._attempts = Attempts(
            live, deps.history, deps.retry_policy, deps.uncalled, deps.send_timeout_seconds
        )
        self._last_sent_at: float | None = None
        """When the last send ended; None once the queue was empty."""
        self._late_until = 0.0
        """Until this time a claim whose answer was lost may still take a row."""
        self._log = logger.bind(instance_id=live.instance.id, component="worker")

    async def run_until(self, leaving: asyncio.Event) -> None:
        while not leaving.is_set():
            try:
                if claimed := await self._next(leaving):
                    with self._activity.working():
                        await self._process(claimed, leaving)
            except DatabaseUnavailable as error:
                self._log.warning("database_unavailable", error=str(error))
                self._cursor.drop_row()
                now = self._deps.clock.monotonic_seconds()
                self._late_until = now + _LATE_STATEMENT_SECONDS
                await self._deps.clock.wait(leaving, _RETRY_SECONDS)

    async def _next(self, leaving: asyncio.Event) -> ClaimedMessage | None:
        """Waits for a message and claims it; None if the worker must leave."""
        claimer = self._deps.claimer
        while not leaving.is_set():
            self._wakeup.clear()
            if claimed := await claimer.claim(self._cursor):
                return claimed
            self._last_sent_at = None
            seconds_until_due = await claimer.sleep(self._cursor)
            if claimed := await claimer.claim(self._cursor):
                return claimed
            if leaving.is_set():
                return None
            with self._activity.asleep():
                await self._deps.clock.wait(self._wakeup, self._idle_seconds(seconds_until_due))
        return None

    def _idle_seconds(self, seconds_until_due: float | None) -> float | None:
        """Returns how long to wait for a wake-up, which does not come for a lost claim's row."""
        if self._deps.clock.monotonic_seconds() > self._late_until:
            return seconds_until_due
        if seconds_until_due is None:
            return _RECLAIM_SECONDS
        return min(_RECLAIM_SECONDS, seconds_until_due)

    async def _process(self, row: ClaimedMessage, leaving: asyncio.Event) -> None:
        if row.is_expired:
            await self._fail_expired(row)
            return
        if isinstance(row.payload, Unopened):
            await self._fail_unopened(row, row.payload.reason)
            return
        message = decode(row)
        if isinstance(message, str):
            self._log.warning("message_unreadable", queue_id=row.zaap_id, reason=message)
            await self._hand_back_unreadable(row, leaving)
            return
        if await self._hold_at_daily_limit(row):
            return
        account_id = self._live.instance.account_id
        preparing = self._deps.preparer.preparing(row.instance_id, message, account_id=account_id)
        async with preparing as files:
            addressed = await self._address(row, message, leaving)
            if (
                addressed is None
                or not await self._wait_for_files(row, files, leaving)
                or not await self._started(row)
            ):
                await self._deps.recorder.record(row, HandedBack())
                self._deps.uncalled.discard(row)
                return
            row = replace(row, known_chat=addressed.chat)
            began = self._deps.clock.monotonic_seconds()
            self._activity.expect(self._deps.send_timeout_seconds)
            outcome = await self._attempts.make(addressed, row, files)
            self._activity.expect(0.0)
            self._last_sent_at = self._deps.clock.monotonic_seconds()
        echo = self._live.instance.notify_sent_by_me
        await self._deps.recorder.record(row, outcome, echo=echo)
        self._deps.uncalled.discard(row)
        seconds = self._deps.clock.monotonic_seconds() - began
        self._count(row, outcome, seconds)
        self._log.info(
            "attempt_ended",
            queue_id=row.zaap_id,
            message_type=row.type,
            outcome=type(outcome).__name__.lower(),
            target=masked(row.phone),
            attempt=row.attempts + 1,
            duration_seconds=round(seconds, 3),
        )
        if isinstance(outcome, HandedBack):
            await self._deps.clock.wait(leaving, _RETRY_SECONDS)

    async def _fail_expired(self, row: ClaimedMessage) -> None:
        expired = Failed("expired", "expired")
        await self._deps.recorder.record(row, expired)
        self._deps.metrics.failed(expired.error_class, row.instance_id)
        self._log.info("message_expired", queue_id=row.zaap_id, message_type=row.type)

    def _count(self, row: ClaimedMessage, outcome: Outcome, seconds: float) -> None:
        metrics, instance_id = self._deps.metrics, row.instance_id
        metrics.attempted(row.type, type(outcome).__name__.lower(), instance_id, seconds=seconds)
        if isinstance(outcome, Sent):
            age = self._deps.clock.now() - row.created_at
            metrics.sent(row.type, instance_id, after_seconds=age.total_seconds())
        elif isinstance(outcome, Failed):
            metrics.failed(outcome.error_class, instance_id)
        elif isinstance(outcome, Held):
            metrics.held(outcome.kind, instance_id)

    async def _hold_at_daily_limit(self, row: ClaimedMessage) -> bool:
        """Holds the queue until the end of the day if the daily limit is reached; says if it is.

        A change of the limit ends such a hold, once, when the change is stored. The session may
        still have the old limit then. So this compares with the stored limit before the hold, and
        ends the hold if the stored limit changed while it was being written.
        """
        if await self._day_if_limit_reached(row, self._limit_of(self._live.instance)) is None:
            return False
        limit = await self._stored_limit(row)
        day = await self._day_if_limit_reached(row, limit)
        if day is None:
            return False
        held = Held(day.ends_at, f"Daily limit of {limit} messages reached", "daily_limit")
        await self._deps.recorder.record(row, held)
        self._deps.metrics.held(held.kind, row.instance_id)
        self._log.info("daily_limit_reached", limit=limit)
        while not await self._ended_outdated_hold(row, limit):
            await self._deps.clock.sleep(_RETRY_SECONDS)
        return True

    async def _ended_outdated_hold(self, row: ClaimedMessage, limit: int) -> bool:
        """Ends the hold if the limit changed meanwhile; False if Postgres did not answer.

        Nothing else would end that hold before the next day.
        """
        try:
            if await self._stored_limit(row) != limit:
                await self._deps.claimer.end_daily_limit_hold(row.instance_id)
        except DatabaseUnavailable as error:
            self._log.warning("database_unavailable", error=str(error))
            return False
        return True

    async def _day_if_limit_reached(self, row: ClaimedMessage, limit: int) -> Day | None:
        """Returns today if its limit is reached; None if not, or if there is no limit (0)."""
        if not limit:
            return None
        day = await self._deps.claimer.sent_today(row.instance_id, max_count=limit)
        return day if day.sent >= limit else None

    async def _stored_limit(self, row: ClaimedMessage) -> int:
        stored = await self._deps.claimer.stored_instance(row.instance_id)
        return self._limit_of(stored or self._live.instance)

    def _limit_of(self, instance: Instance) -> int:
        return self._deps.send_policy.limit_of(instance, self._deps.clock.now())

    async def _fail_unopened(self, row: ClaimedMessage, reason: str) -> None:
        """Fails the message alone: the queue goes on, and a retry sends it once the key is back."""
        self._log.error("payload_not_opened", queue_id=row.zaap_id, reason=reason)
        failed = Failed("unopened", reason)
        await self._deps.recorder.record(row, failed)
        self._deps.metrics.failed(failed.error_class, row.instance_id)

    async def _hand_back_unreadable(self, row: ClaimedMessage, leaving: asyncio.Event) -> None:
        """Leaves the message for a newer node, which wrote it; this version never fails it."""
        await self._deps.recorder.record(row, HandedBack())
        self._activity.expect(_UNREADABLE_PAUSE_SECONDS)
        await self._deps.clock.wait(leaving, _UNREADABLE_PAUSE_SECONDS)

    async def _address(
        self, row: ClaimedMessage, message: OutgoingMessage, leaving: asyncio.Event
    ) -> Addressed | None:
        """Waits as a person would, finds the recipient's number, then shows typing.

        Returns None if the worker must leave. A number is looked up after the pause, so that
        look-ups keep the pace of sends.
        """
        if await self._pause(message, leaving):
            return None
        addressed = await self._deps.numbers.address(self._live, row, message)
        if not addressed.absent and await self._show_typing(addressed.message, leaving):
            return None
        return addressed

    async def _pause(self, message: OutgoingMessage, leaving: asyncio.Event) -> bool:
        """Waits as a person would; says whether the worker must leave."""
        pace = self._deps.send_policy.pace_of(self._live.instance)  # may change between messages
        seconds = pause_before(message.delay_message, pace, self._deps.uniform)
        if self._last_sent_at is not None:  # the pause began when the last send ended
            seconds -= self._deps.clock.monotonic_seconds() - self._last_sent_at
        typing = (message.delay_typing or 0) + self._deps.send_timeout_seconds
        self._activity.expect(max(0.0, seconds) + MAX_ADDRESSING_SECONDS + typing)
        return await self._deps.clock.wait(leaving, seconds)

    async def _show_typing(self, message: OutgoingMessage, leaving: asyncio.Event) -> bool:
        """Says whether the worker must leave."""
        if message.delay_typing is None:
            return False
        try:
            async with asyncio.timeout(self._deps.send_timeout_seconds):
                await self._live.session.execute(
                    ShowTyping(phone=message.phone, seconds=message.delay_typing)
                )
        except (CallerError, NotConnected, TimeoutError):
            pass  # the message is sent even if typing cannot be shown
        return await self._deps.clock.wait(leaving, message.delay_typing)

    async def _wait_for_files(
        self, row: ClaimedMessage, files: Preparing, leaving: asyncio.Event
    ) -> bool:
        """Says whether the files are ready; gives up when the message is no longer to be sent."""
        self._activity.expect(math.inf)  # files may wait for those of others
        try:
            while not await files.ended(leaving, within_seconds=_OWNED_CHECK_SECONDS):
                if leaving.is_set() or not await self._still_owned(row):
                    return False
        finally:
            self._activity.expect(0.0)
        return True

    async def _still_owned(self, row: ClaimedMessage) -> bool:
        try:
            return await self._deps.claimer.owns(row)
        except DatabaseUnavailable:
            return True  # the start decides

    async def _started(self, row: ClaimedMessage) -> bool:
        if not self._live.may_act():
            return False
        self._deps.uncalled.add(row)
        try:
            return await self._deps.starter.start(row)
        except DatabaseUnavailable:
            return False  # if the start was committed, handing back undoes it
