"""Decides what happens to messages that a dead worker left in flight."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from gateway.batching import Batch
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import Unconfirmed
from gateway.observability.logging import logger
from gateway.send_queue.attempts import UncalledAttempts
from gateway.send_queue.claim_cursor import ClaimedMessage
from gateway.send_queue.outcome import HandedBack, Outcome, RetryPolicy, outcome_of
from gateway.send_queue.recorder import OutcomeRecorder
from gateway.sessions.live import LiveSession

_FIND_ORPHANS = query("send_queue", "find_orphans")


@dataclass(frozen=True, slots=True)
class _Orphan(ClaimedMessage):
    attempt_started_at: datetime | None


class Rescue:
    """Rescues the messages of an instance before its next worker begins.

    If the attempt had not started, or a worker of this process knows that it never called the
    provider, the message waits again and no attempt counts. If it had started, the attempt counts
    as unconfirmed: the message is sent again under the same id if the provider shows one id once,
    otherwise it fails.
    """

    def __init__(
        self,
        database: Database,
        recorder: OutcomeRecorder,
        policy: RetryPolicy,
        uncalled: UncalledAttempts | None = None,
    ) -> None:
        """Prepares the rescue; *uncalled* are the attempts of this process' workers."""
        self._database, self._recorder, self._policy = database, recorder, policy
        self._uncalled = uncalled or UncalledAttempts()
        self._batch = Batch[LiveSession, Sequence[_Orphan]](self._find)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def process(self, live: LiveSession) -> None:
        """Records an outcome for each such message; call it while no worker sends for *live*."""
        for found in await self._batch.submit(live):
            orphan = self._without_uncalled_attempt(found)
            outcome = self._outcome(orphan, can_repeat_send=live.can_repeat_send)
            await self._recorder.record(orphan, outcome)
            self._uncalled.discard(orphan)
            logger.warning(
                "message_rescued",
                instance_id=orphan.instance_id,
                queue_id=orphan.zaap_id,
                message_type=orphan.type,
                outcome=type(outcome).__name__.lower(),
            )

    def _without_uncalled_attempt(self, orphan: _Orphan) -> _Orphan:
        if orphan.attempt_started_at is None or orphan not in self._uncalled:
            return orphan
        return replace(orphan, attempt_started_at=None, attempts=orphan.attempts - 1)

    def _outcome(self, orphan: _Orphan, *, can_repeat_send: bool) -> Outcome:
        if orphan.attempt_started_at is None:
            return HandedBack()
        return outcome_of(
            Unconfirmed("the gateway stopped before WhatsApp's answer came"),
            attempts=orphan.attempts,
            # The crash is not the message's fault, so the message gets one more attempt.
            max_attempts=orphan.max_attempts + 1,
            can_repeat_send=can_repeat_send,
            policy=self._policy,
        )

    async def _find(self, lives: list[LiveSession]) -> Sequence[Sequence[_Orphan]]:
        found: dict[str, list[_Orphan]] = {}
        for orphan in await self._database.fetch_all(
            _Orphan,
            _FIND_ORPHANS,
            instance_ids=[live.instance.id for live in lives],
            epochs=[live.epoch for live in lives],
        ):
            found.setdefault(orphan.instance_id, []).append(orphan)
        return [found.get(live.instance.id, []) for live in lives]
