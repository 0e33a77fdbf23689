r"""Sends the messages of one instance, one at a time, in order.

    claim -> pace -> await files -> address -> show typing -> start -> send -> record -> claim ...

Until `start`, no attempt counts: a caller can cancel the message, and the worker can hand it back.
"""

import asyncio
import math
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

from gateway.account_turns import AccountTurns
from gateway.clock import Clock
from gateway.contract.internal.presence import ShowTyping
from gateway.contract.send import OutgoingMessage
from gateway.database.payload_seal import Unopened
from gateway.errors import CallerError, DatabaseUnavailable, NotConnected
from gateway.history.store import History
from gateway.media.file_links import FileLinks
from gateway.media.preparing import Preparing
from gateway.observability.logging import is_debugging, logger
from gateway.observability.metrics import Metrics
from gateway.randomness import Uniform
from gateway.send_queue.activity import WorkerActivity
from gateway.send_queue.addressing import MAX_ADDRESSING_SECONDS, Addressed, NumberDirectory
from gateway.send_queue.attempts import Attempts, UncalledAttempts
from gateway.send_queue.claim import Claimer
from gateway.send_queue.claim_cursor import ClaimCursor, ClaimedMessage
from gateway.send_queue.counting import count_attempt
from gateway.send_queue.daily_limit import DailyLimit
from gateway.send_queue.file_fetches import FileFetches
from gateway.send_queue.next_message import NextMessage
from gateway.send_queue.outcome import (
    Failed,
    HandedBack,
    Retried,
    RetryPolicy,
    Withheld,
    reason_of,
)
from gateway.send_queue.pacing import Pauses, SendPolicy
from gateway.send_queue.recorder import OutcomeRecorder
from gateway.send_queue.start import Starter
from gateway.send_queue.stored_message import decode, masked
from gateway.send_queue.unknown_messages import UnknownMessages
from gateway.sessions.live import LiveSession

_UNREADABLE_PAUSE_SECONDS = 30.0
_RETRY_SECONDS = 1.0
_OWNED_CHECK_SECONDS = 2.0
_FILE_PATIENCE_SECONDS = 2.0  # from the begin of the fetch, so that it overlaps the pause


@dataclass(frozen=True, slots=True)
class WorkerDependencies:
    """Services and settings that all workers of this process share."""

    claimer: Claimer
    starter: Starter
    recorder: OutcomeRecorder
    history: History
    fetches: FileFetches
    file_links: FileLinks
    metrics: Metrics
    clock: Clock
    uniform: Uniform
    retry_policy: RetryPolicy
    send_policy: SendPolicy
    numbers: NumberDirectory
    send_timeout_seconds: float
    unknown: UnknownMessages
    uncalled: UncalledAttempts = field(default_factory=UncalledAttempts)
    turns: AccountTurns = field(default_factory=AccountTurns)
    """Taken for each statement, never while the worker waits for WhatsApp or for the pace."""


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
        self._live, self._deps = live, deps
        self._activity = activity or WorkerActivity(deps.clock)
        self._cursor = ClaimCursor(live.instance.id, live.epoch)
        self._attempts = Attempts(
            live,
            deps.history,
            deps.file_links,
            deps.retry_policy,
            deps.uncalled,
            deps.send_timeout_seconds,
            deps.unknown,
        )
        self._fetches = deps.fetches.of_queue(live.instance, self._cursor, wakeup)
        self._daily_limit = DailyLimit(
            deps.claimer, deps.recorder, deps.metrics, deps.clock, deps.send_policy
        )
        self._pauses = Pauses(deps.send_policy, deps.uniform, deps.clock.monotonic_seconds())
        self._next = NextMessage(
            live,
            self._cursor,
            wakeup,
            claimer=deps.claimer,
            turns=deps.turns,
            clock=deps.clock,
            policy=deps.send_policy,
            pauses=self._pauses,
            activity=self._activity,
        )
        self._log = logger.bind(instance_id=live.instance.id, component="worker")

    async def run_until(self, leaving: asyncio.Event) -> None:
        async with self._fetches:
            await self._send_until(leaving)

    async def _send_until(self, leaving: asyncio.Event) -> None:
        while not leaving.is_set():
            try:
                if claimed := await self._next.claim(leaving):
                    with self._activity.working(claimed.id):
                        await self._process(claimed, leaving)
            except DatabaseUnavailable as error:
                self._log.warning("database_unavailable", error=str(error))
                self._next.answer_was_lost()
                await self._deps.clock.wait(leaving, _RETRY_SECONDS)

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._deps.turns.turn(self._live.instance.account_id)

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
        if await self._daily_limit.hold(row, self._live.instance):
            return
        async with self._fetches.files_of(row, message) as files:
            addressed = await self._when_ready(row, message, files, leaving)
            if addressed is None:
                self._deps.uncalled.discard(row)
                return
            if addressed.chat != row.known_chat:
                row = replace(row, known_chat=addressed.chat)
            began = self._deps.clock.monotonic_seconds()
            self._pauses.attempt_began(began)
            self._activity.expect(self._deps.send_timeout_seconds)
            self._log_start(row)
            outcome = await self._attempts.make(addressed, row, files)
            self._activity.expect(0.0)
            self._pauses.attempt_ended(self._deps.clock.monotonic_seconds())
        echo = self._live.instance.notify_sent_by_me
        self._cursor.has_parked |= isinstance(outcome, Retried)  # others pass at the next claim
        self._cursor.withholds |= isinstance(outcome, Withheld)
        self._next.before_record()
        async with self._turn():
            is_idle = await self._deps.recorder.record(row, outcome, echo=echo)
        self._next.after_record(is_idle=is_idle)
        self._deps.uncalled.discard(row)
        seconds = self._deps.clock.monotonic_seconds() - began
        now = self._deps.clock.now()
        count_attempt(self._deps.metrics, row, outcome, seconds=seconds, now=now)
        self._log.info(
            "attempt_ended",
            queue_id=row.zaap_id,
            message_type=row.type,
            outcome=type(outcome).__name__.lower(),
            reason=reason_of(outcome),
            target=masked(row.phone),
            attempt=row.attempts + 1,
            duration_seconds=round(seconds, 3),
        )
        if isinstance(outcome, HandedBack):
            await self._deps.clock.wait(leaving, _RETRY_SECONDS)

    async def _when_ready(
        self,
        row: ClaimedMessage,
        message: OutgoingMessage,
        files: Preparing,
        leaving: asyncio.Event,
    ) -> Addressed | None:
        """Waits until the attempt has started; otherwise the message is handed back or parked.

        A message whose file has been awaited before its turn does not pause for it.
        """
        began = self._deps.clock.monotonic_seconds()
        seconds = self._pauses.seconds_left(message.delay_message, self._live.instance, began)
        if seconds > 0 or not files.has_ended:
            await self._fetches.look_ahead()
        is_late = not files.has_ended and self._fetches.seconds_of(row) >= _FILE_PATIENCE_SECONDS
        if not (is_late and await self._fetches.park(row)):
            leaves = await self._pause(message, seconds, leaving)
            if (
                not leaves
                and await self._wait_for_files(row, files, leaving)
                and (addressed := await self._address(row, message, leaving))
                and await self._started(row)
            ):
                return addressed
        if not self._fetches.is_parked(row):
            await self._deps.recorder.record(row, HandedBack())
            return None
        self._log.info("message_parked", queue_id=row.zaap_id, message_type=row.type)
        self._pauses.message_was_parked(began)
        return None

    def _log_start(self, row: ClaimedMessage) -> None:
        if is_debugging():
            self._log.debug(
                "attempt_started",
                queue_id=row.zaap_id,
                message_type=row.type,
                attempt=row.attempts + 1,
            )

    async def _fail_expired(self, row: ClaimedMessage) -> None:
        expired = Failed("expired", "expired")
        await self._deps.recorder.record(row, expired)
        self._deps.metrics.failed(expired.error_class, row.instance_id)
        self._log.info("message_expired", queue_id=row.zaap_id, message_type=row.type)

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

    async def _pause(
        self, message: OutgoingMessage, seconds: float, leaving: asyncio.Event
    ) -> bool:
        """Waits as a person would; says whether the worker must leave."""
        typing = (message.delay_typing or 0) + self._deps.send_timeout_seconds
        self._activity.expect(max(0.0, seconds) + typing, pause_seconds=seconds)
        return await self._deps.clock.wait(leaving, seconds)

    async def _address(
        self, row: ClaimedMessage, message: OutgoingMessage, leaving: asyncio.Event
    ) -> Addressed | None:
        """Finds the recipient's number, then shows typing; None if the worker must leave.

        A number is looked up after the pause, so that look-ups keep the pace of sends.
        """
        self._activity.expect(MAX_ADDRESSING_SECONDS + self._deps.send_timeout_seconds)
        try:
            addressed = await self._deps.numbers.address(self._live, row, message)
            if not addressed.absent and await self._show_typing(addressed.message, leaving):
                return None
        finally:
            self._activity.expect(0.0)
        return addressed

    async def _show_typing(self, message: OutgoingMessage, leaving: asyncio.Event) -> bool:
        """Shows typing if the message asks for it; says whether the worker must leave."""
        if message.delay_typing is None:
            return False
        self._activity.expect(message.delay_typing + self._deps.send_timeout_seconds)
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
        """Says whether the files are ready; parks the message if they take long.

        A message that may not be parked holds the queue until its files are ready or it is no
        longer to be sent.
        """
        if files.has_ended:
            return True
        self._activity.expect(math.inf, awaits_file=True)  # files may wait for those of others
        patience = max(0.0, _FILE_PATIENCE_SECONDS - self._fetches.seconds_of(row))
        try:
            while not await files.ended(leaving, within_seconds=patience):
                patience = _OWNED_CHECK_SECONDS
                if leaving.is_set() or not await self._still_owned(row):
                    return False
                if await self._fetches.park(row):
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
        if not self._next.hurries():
            await self._deps.starter.due()
        if not self._live.may_act():
            return False
        self._deps.uncalled.add(row)
        try:
            async with self._turn():
                return await self._deps.starter.start(row, self._live.connection_id)
        except DatabaseUnavailable:
            return False  # if the start was committed, handing back undoes it
