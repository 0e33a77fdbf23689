"""Settles what a dead worker left on its way, before a new one begins."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.batching import Batch
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import Unconfirmed
from gateway.observability.logging import logger
from gateway.send_queue.claim import Claimed
from gateway.send_queue.outcome import HandedBack, Outcome, Recorder, RetryPolicy, outcome_of
from gateway.sessions.live import LiveSession

_FIND_ORPHANS = query("send_queue", "find_orphans")


@dataclass(frozen=True, slots=True)
class _Orphan(Claimed):
    attempt_started_at: datetime | None


class Rescue:
    """Part of the service.

    A row whose attempt had not started waits again with nothing spent. One that had started is
    sent again under its id where the provider shows one id once; elsewhere it fails and says so.
    """

    def __init__(self, database: Database, recorder: Recorder, policy: RetryPolicy) -> None:
        self._database, self._recorder, self._policy = database, recorder, policy
        self._batch = Batch[LiveSession, Sequence[_Orphan]](self._find)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def process(self, live: LiveSession) -> None:
        """Leaves nothing of the line on its way; to be called while nobody sends for it."""
        for orphan in await self._batch.submit(live):
            outcome = self._outcome(orphan, can_repeat_send=live.can_repeat_send)
            await self._recorder.record(orphan, outcome)
            logger.warning(
                "message_rescued",
                instance_id=orphan.instance_id,
                queue_id=orphan.zaap_id,
                message_type=orphan.type,
                outcome=type(outcome).__name__.lower(),
            )

    def _outcome(self, orphan: _Orphan, *, can_repeat_send: bool) -> Outcome:
        if orphan.attempt_started_at is None:
            return HandedBack()
        return outcome_of(
            Unconfirmed("the gateway stopped before WhatsApp's answer came"),
            attempts=orphan.attempts,
            max_attempts=orphan.max_attempts + 1,  # the crash was ours: it costs no attempt
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
