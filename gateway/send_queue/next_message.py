"""Waits until a queue has a message that may leave, and claims it for the worker."""

import asyncio
from contextlib import AbstractAsyncContextManager

from gateway.account_turns import AccountTurns
from gateway.clock import Clock
from gateway.send_queue.activity import WorkerActivity
from gateway.send_queue.claim import Claimer
from gateway.send_queue.claim_cursor import ClaimCursor, ClaimedMessage
from gateway.send_queue.pacing import Pauses, SendPolicy
from gateway.sessions.live import LiveSession

_LATE_STATEMENT_SECONDS = 60.0
_RECLAIM_SECONDS = 5.0


class NextMessage:
    """The end of one queue at which its worker waits.

    A worker whose queue is empty sleeps; the queue is then marked idle, so that an enqueue wakes
    it. The record of the last message marks an empty queue itself, which saves a claim and a mark.
    """

    def __init__(
        self,
        live: LiveSession,
        cursor: ClaimCursor,
        wakeup: asyncio.Event,
        *,
        claimer: Claimer,
        turns: AccountTurns,
        clock: Clock,
        policy: SendPolicy,
        pauses: Pauses,
        activity: WorkerActivity,
    ) -> None:
        self._live, self._cursor, self._wakeup = live, cursor, wakeup
        self._claimer, self._turns, self._clock = claimer, turns, clock
        self._policy, self._pauses, self._activity = policy, pauses, activity
        self._is_marked_idle = False
        """Whether the last record found the queue empty and marked it idle."""
        self._was_asleep = True
        """Whether the queue was empty before the message at hand."""
        self._late_until = 0.0
        """Until this time a claim whose answer was lost may still take a row."""

    async def claim(self, leaving: asyncio.Event) -> ClaimedMessage | None:
        """Waits for a message and claims it; None if the worker must leave."""
        seconds_until_due = None
        while not leaving.is_set():
            if self._is_marked_idle:
                self._is_marked_idle = False
            else:
                self._wakeup.clear()
                if claimed := await self._claim():
                    return claimed
                self._pauses.queue_was_empty()
                await self._claimer.sleep_due()
                async with self._turn():
                    seconds_until_due = await self._claimer.sleep(self._cursor)
                if seconds_until_due is not None and (claimed := await self._claim()):
                    return claimed
            self._pauses.queue_was_empty()
            self._was_asleep = True
            if leaving.is_set():
                return None
            with self._activity.asleep():
                await self._clock.wait(self._wakeup, self._idle_seconds(seconds_until_due))
        return None

    async def _claim(self) -> ClaimedMessage | None:
        if not self.hurries():
            await self._claimer.claim_due()
        async with self._turn():
            return await self._claimer.claim(self._cursor)

    def hurries(self) -> bool:
        """Says whether the message goes without the intervals of batches.

        A queue without pauses sends as fast as it can. Otherwise, and for a message that found the
        queue empty, a batch saves more than its interval costs.
        """
        if self._was_asleep:
            return False
        return self._policy.max_pause_seconds(self._live.instance) <= 0

    def before_record(self) -> None:
        """Must be called before a record that may mark the queue idle.

        A message that is enqueued before the mark is seen by the record; one after it sets the
        wake-up event, which nothing clears until the next claim.
        """
        self._wakeup.clear()

    def after_record(self, *, is_idle: bool) -> None:
        self._is_marked_idle, self._was_asleep = is_idle, False

    def answer_was_lost(self) -> None:
        """Notes that a claim may have taken a row, or may do so later, without an answer."""
        self._cursor.drop_row()
        self._late_until = self._clock.monotonic_seconds() + _LATE_STATEMENT_SECONDS

    def _turn(self) -> AbstractAsyncContextManager[None]:
        return self._turns.turn(self._live.instance.account_id)

    def _idle_seconds(self, seconds_until_due: float | None) -> float | None:
        """Returns how long to wait for a wake-up, which does not come for a lost claim's row."""
        if self._clock.monotonic_seconds() > self._late_until:
            return seconds_until_due
        if seconds_until_due is None:
            return _RECLAIM_SECONDS
        return min(_RECLAIM_SECONDS, seconds_until_due)
