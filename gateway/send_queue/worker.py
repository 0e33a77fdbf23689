r"""Sends one instance's messages, one at a time, in order.

    claim -> pace -> show typing -> start -> send -> record -> claim ...
         \-> fetch files -------/

Until `start` nothing is spent: a message can be cancelled, or handed back untouched.
"""

import asyncio
from dataclasses import dataclass

from pydantic import ValidationError

from gateway.clock import Clock
from gateway.contract.catalogue import catalogue
from gateway.contract.internal.presence import ShowTyping
from gateway.contract.send import STORED_VERSION, OutgoingMessage
from gateway.errors import (
    CallerError,
    DatabaseUnavailable,
    NotConnected,
    Refused,
    Restricted,
    TryAgainLater,
    Unconfirmed,
)
from gateway.history.store import History
from gateway.instances.store import Instance
from gateway.media.preparing import Preparer, Preparing
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.randomness import Uniform
from gateway.send_queue.claim import ClaimCursor, Claimed, Claimer, Day
from gateway.send_queue.outcome import (
    Failed,
    HandedBack,
    Held,
    Outcome,
    Recorder,
    RetryPolicy,
    Sent,
    outcome_of,
)
from gateway.send_queue.pacing import SendPolicy, pause_before
from gateway.send_queue.start import Starter
from gateway.sessions.live import LiveSession
from gateway.sessions.provider import Attempt, SendFailure

_PAUSE_WHEN_BLOCKED_SECONDS = 30.0
_PAUSE_AFTER_TROUBLE_SECONDS = 1.0
_LATE_STATEMENT_SECONDS = 60.0
_CLAIM_AGAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class WorkerDependencies:
    """What all workers of this process share."""

    claimer: Claimer
    starter: Starter
    recorder: Recorder
    history: History
    preparer: Preparer
    metrics: Metrics
    clock: Clock
    uniform: Uniform
    policy: RetryPolicy
    send_policy: SendPolicy
    send_timeout_seconds: float


class Worker:
    """Runs while the session is up.

    `bell` says that there may be something to claim, or that it is time to leave.
    """

    def __init__(self, live: LiveSession, deps: WorkerDependencies, wakeup: asyncio.Event) -> None:
        self._live, self._deps, self._wakeup = live, deps, wakeup
        self._cursor = ClaimCursor(live.instance.id, live.epoch)
        self._last_out_at: float | None = None
        """When the message before was out; None once the line was empty."""
        self._late_until = 0.0
        """Until then a claim whose answer was lost may still take a row."""
        self._log = logger.bind(instance_id=live.instance.id, component="worker")

    async def run_until(self, leaving: asyncio.Event) -> None:
        while not leaving.is_set():
            try:
                if claimed := await self._next(leaving):
                    await self._carry(claimed, leaving)
            except DatabaseUnavailable as error:
                self._log.warning("line_waits_for_database", error=str(error))
                self._cursor.drop_row()
                now = self._deps.clock.monotonic_seconds()
                self._late_until = now + _LATE_STATEMENT_SECONDS
                await self._deps.clock.wait(leaving, _PAUSE_AFTER_TROUBLE_SECONDS)

    async def _next(self, leaving: asyncio.Event) -> Claimed | None:
        claimer = self._deps.claimer
        while not leaving.is_set():
            self._wakeup.clear()
            if claimed := await claimer.claim(self._cursor):
                return claimed
            self._last_out_at = None
            seconds_until_due = await claimer.sleep(self._cursor)
            if claimed := await claimer.claim(self._cursor):
                return claimed
            if not leaving.is_set():
                await self._deps.clock.wait(self._wakeup, self._rest(seconds_until_due))
        return None

    def _rest(self, seconds_until_due: float | None) -> float | None:
        """How long to wait for the bell, which does not ring for a row that a lost claim takes."""
        if self._deps.clock.monotonic_seconds() > self._late_until:
            return seconds_until_due
        if seconds_until_due is None:
            return _CLAIM_AGAIN_SECONDS
        return min(_CLAIM_AGAIN_SECONDS, seconds_until_due)

    async def _carry(self, row: Claimed, leaving: asyncio.Event) -> None:
        message = decode(row)
        if isinstance(message, str):
            self._log.warning("message_unreadable", queue_id=row.zaap_id, reason=message)
            await self._hold_unknown(row, leaving)
            return
        if await self._is_past_daily_limit(row):
            return
        async with self._deps.preparer.preparing(message) as files:
            if (
                await self._pause(message, leaving)
                or not await files.ended(leaving)
                or not await self._started(row)
            ):
                await self._deps.recorder.record(row, HandedBack())
                return
            began = self._deps.clock.monotonic_seconds()
            outcome = await self._attempt(message, row, files)
            self._last_out_at = self._deps.clock.monotonic_seconds()
        echo = self._live.instance.notify_sent_by_me
        await self._deps.recorder.record(row, outcome, echo=echo)
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
            await self._deps.clock.wait(leaving, _PAUSE_AFTER_TROUBLE_SECONDS)

    def _count(self, row: Claimed, outcome: Outcome, seconds: float) -> None:
        metrics, instance_id = self._deps.metrics, row.instance_id
        metrics.attempted(row.type, type(outcome).__name__.lower(), instance_id, seconds=seconds)
        if isinstance(outcome, Sent):
            age = self._deps.clock.now() - row.created_at
            metrics.sent(row.type, instance_id, after_seconds=age.total_seconds())
        elif isinstance(outcome, Failed):
            metrics.failed(outcome.error_class, instance_id)
        elif isinstance(outcome, Held):
            metrics.held(outcome.kind, instance_id)

    async def _is_past_daily_limit(self, row: Claimed) -> bool:
        """Holds the line until the day's end once it has sent what it may.

        A change of the limit ends such a hold once, when it is stored. The session may hear of
        the change later, so the stored limit counts, before the hold and again after it.
        """
        if await self._full_day(row, self._limit_of(self._live.instance)) is None:
            return False
        limit = await self._stored_limit(row)
        day = await self._full_day(row, limit)
        if day is None:
            return False
        held = Held(day.ends_at, f"Daily limit of {limit} messages reached", "daily_limit")
        await self._deps.recorder.record(row, held)
        self._deps.metrics.held(held.kind, row.instance_id)
        self._log.info("daily_limit_reached", limit=limit)
        if await self._stored_limit(row) != limit:
            await self._deps.claimer.lift_daily_limit(row.instance_id)
        return True

    async def _full_day(self, row: Claimed, limit: int) -> Day | None:
        """Today, if as many messages have left as may; a limit of 0 is none."""
        if not limit:
            return None
        day = await self._deps.claimer.sent_today(row.instance_id, max_count=limit)
        return day if day.sent >= limit else None

    async def _stored_limit(self, row: Claimed) -> int:
        stored = await self._deps.claimer.stored_instance(row.instance_id)
        return self._limit_of(stored or self._live.instance)

    def _limit_of(self, instance: Instance) -> int:
        return self._deps.send_policy.limit_of(instance, self._deps.clock.now())

    async def _hold_unknown(self, row: Claimed, leaving: asyncio.Event) -> None:
        """A newer node wrote it and a newer node will send it; it is never failed here."""
        await self._deps.recorder.record(row, HandedBack())
        await self._deps.clock.wait(leaving, _PAUSE_WHEN_BLOCKED_SECONDS)

    async def _pause(self, message: OutgoingMessage, leaving: asyncio.Event) -> bool:
        """Waits as a person would, then shows typing; says whether we must leave instead."""
        pace = self._deps.send_policy.pace_of(self._live.instance)  # can be changed while we work
        seconds = pause_before(message.delay_message, pace, self._deps.uniform)
        if self._last_out_at is not None:  # the pause began then: what we wrote since is part of it
            seconds -= self._deps.clock.monotonic_seconds() - self._last_out_at
        if await self._deps.clock.wait(leaving, seconds):
            return True
        if message.delay_typing is None:
            return False
        try:
            async with asyncio.timeout(self._deps.send_timeout_seconds):
                await self._live.session.execute(
                    ShowTyping(phone=message.phone, seconds=message.delay_typing)
                )
        except (CallerError, NotConnected, TimeoutError):
            pass  # a courtesy: the message goes without it
        return await self._deps.clock.wait(leaving, message.delay_typing)

    async def _started(self, row: Claimed) -> bool:
        if not self._live.may_act():
            return False
        try:
            return await self._deps.starter.start(row)
        except DatabaseUnavailable:
            return False  # perhaps it was committed: handing back undoes that

    async def _attempt(self, message: OutgoingMessage, row: Claimed, files: Preparing) -> Outcome:
        limit = self._deps.send_timeout_seconds
        failure: SendFailure
        try:
            # A file that cannot be had costs the attempt, which is why it is told only here.
            prepared = await files.result()
            referred = await self._deps.history.known(row.instance_id, message.referred_ids())
            if not self._live.may_act():
                return HandedBack()
            async with asyncio.timeout(limit):
                receipt = await self._live.session.send(
                    message,
                    Attempt(
                        row.message_id,
                        row.claimed_epoch,
                        limit,
                        referred,
                        prepared.media,
                        prepared.preview,
                    ),
                )
        except (NotConnected, Restricted, TryAgainLater, Refused, Unconfirmed) as error:
            failure = error
        except CallerError as error:
            failure = Refused(str(error))
        except DatabaseUnavailable:
            return HandedBack()
        except TimeoutError:
            failure = Unconfirmed(f"no answer within {limit:g} seconds")
        except Exception as error:  # noqa: BLE001 - whatever it was, the bytes may have left
            report_error(
                error, component="worker", instance_id=row.instance_id, message_type=row.type
            )
            failure = Unconfirmed(f"unexpected {type(error).__name__}")
        else:
            return Sent(receipt, referred)
        return outcome_of(
            failure,
            attempts=row.attempts + 1,
            max_attempts=row.max_attempts,
            can_repeat_send=self._live.can_repeat_send,
            policy=self._deps.policy,
        )


def decode(row: Claimed) -> OutgoingMessage | str:
    """The message as it was accepted, or why this version cannot read it."""
    kind = catalogue().sends.get(row.type)
    if kind is None:
        return f"the type {row.type} is not known to this version"
    if row.version > STORED_VERSION:
        return f"stored form {row.version} is newer than this version's {STORED_VERSION}"
    try:
        return kind.model_validate(row.payload)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['type']}"


_DIGITS_SHOWN = 4


def masked(chat: str) -> str:
    """Enough of a chat to recognise it in a log, not enough to know who it is."""
    digits, mark, rest = chat.partition("-") if "-" in chat else chat.partition("@")
    return "*" * max(0, len(digits) - _DIGITS_SHOWN) + digits[-_DIGITS_SHOWN:] + mark + rest
