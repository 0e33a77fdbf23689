"""Records how far delivery queues came and what each attempt led to, many in one statement."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from psycopg import OperationalError

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.webhooks.claimed_callback import QueueKey

_FINISH_QUEUES = query("webhooks", "finish_delivery_queues")

_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class PostAttempt:
    """One POST as the log of deliveries shows it."""

    queue: QueueKey
    callback_id: uuid.UUID
    type: str
    target: str
    number: int
    seconds: float
    status: int | None
    error: str | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class QueueProgress:
    """How far a claimed delivery queue came, and when it is due again.

    Attributes:
        up_to: the last position that was delivered or given up.
        progressed: a callback was delivered, or its webhook was removed.
        attempts: of the callback that is now at the head, or of the dead one.
        pause_seconds: until the next attempt.
        error: why the queue waits; None where the last attempt succeeded.
        dead: the callback that was given up.
        receiver: the receiver that the queue waits for; it is due as soon as that answers.
        log: the attempts made.
        is_repeated: the progress was given to Postgres before, and the answer was lost.
    """

    queue: QueueKey
    claim_id: uuid.UUID
    up_to: int
    progressed: bool = False
    attempts: int = 0
    pause_seconds: float = 0.0
    error: str | None = None
    dead: uuid.UUID | None = None
    receiver: str | None = None
    log: tuple[PostAttempt, ...] = ()
    is_repeated: bool = False


@dataclass(frozen=True, slots=True)
class _FinishedQueue:
    webhook_id: uuid.UUID
    instance_id: str
    chat: str
    has_more: bool

    @property
    def queue(self) -> QueueKey:
        return QueueKey(self.webhook_id, self.instance_id, self.chat)


class DeliveryRecorder:
    """Gathers the progress of delivery queues and commits it in batches."""

    def __init__(self, database: Database, clock: Clock, *, interval_seconds: float = 0.0) -> None:
        """Prepares the recorder; *interval_seconds* is that of its batch."""
        self._database, self._clock = database, clock
        self._batch = Batch[QueueProgress, bool](
            self._flush, max_size=200, interval_seconds=interval_seconds
        )

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def due(self) -> None:
        """Waits until the interval of the batch is over."""
        await self._batch.due()

    async def finish(self, progress: QueueProgress) -> bool:
        """Commits *progress*, and tries again for as long as Postgres is unavailable.

        Returns whether the queue holds more callbacks.
        """
        while True:
            try:
                return await self._batch.submit(progress)
            except DatabaseUnavailable as error:
                logger.warning(
                    "database_unavailable", component="delivery_recorder", error=str(error)
                )
                progress = replace(progress, is_repeated=True)
                await self._clock.sleep(_RETRY_SECONDS)

    async def _flush(self, done: list[QueueProgress]) -> Sequence[bool | NextFlush]:
        log = [(progress, attempt) for progress in done for attempt in progress.log]
        try:
            queues = await self._database.fetch_all(
                _FinishedQueue,
                _FINISH_QUEUES,
                webhook_ids=[p.queue.webhook_id for p in done],
                instance_ids=[p.queue.instance_id for p in done],
                chats=[p.queue.chat for p in done],
                claim_ids=[p.claim_id for p in done],
                up_to=[p.up_to for p in done],
                progressed=[p.progressed for p in done],
                attempts=[p.attempts for p in done],
                pauses=[p.pause_seconds for p in done],
                errors=[p.error for p in done],
                dead=[p.dead for p in done],
                addresses=[p.receiver for p in done],
                are_repeated=[progress.is_repeated for progress, _ in log],
                **_log_columns([attempt for _, attempt in log]),
            )
        except OperationalError:  # a lost race, see driver_errors_translated
            return [NEXT_FLUSH] * len(done)
        with_more = {each.queue for each in queues if each.has_more}
        return [progress.queue in with_more for progress in done]


def _log_columns(attempts: Sequence[PostAttempt]) -> Mapping[str, list[Any]]:
    return {
        "logged_webhook_ids": [a.queue.webhook_id for a in attempts],
        "logged_instance_ids": [a.queue.instance_id for a in attempts],
        "logged_chats": [a.queue.chat for a in attempts],
        "callback_ids": [a.callback_id for a in attempts],
        "types": [a.type for a in attempts],
        "targets": [a.target for a in attempts],
        "numbers": [a.number for a in attempts],
        "delivered": [a.error is None for a in attempts],
        "statuses": [a.status for a in attempts],
        "logged_errors": [a.error for a in attempts],
        "answers": [a.answer for a in attempts],
        "durations_ms": [round(a.seconds * 1000) for a in attempts],
    }
