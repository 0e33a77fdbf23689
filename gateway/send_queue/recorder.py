"""Writes the outcome of an attempt: one guarded statement for each kind of outcome.

Each statement changes the row only while it belongs to the claim whose outcome it writes.
"""

import asyncio
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from psycopg import DataError, IntegrityError, OperationalError

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from gateway.clock import Clock
from gateway.contract.media import stored_files
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger
from gateway.observability.traffic import TrafficCounts
from gateway.send_queue.callbacks import delivery_body, echo_body, hold_body, sent_status_body
from gateway.send_queue.claim_cursor import ClaimedMessage
from gateway.send_queue.order import MAX_PARKED, QueueOrder
from gateway.send_queue.outcome import (
    FIRST_CONTACTS,
    Failed,
    HandedBack,
    Held,
    Outcome,
    Retried,
    Sent,
    Withheld,
)
from gateway.sessions.provider import Receipt
from gateway.webhooks.notifier import CallbackNotifier

_RECORD_SENT = query("send_queue", "record_sent")
_RECORD_FAILED = query("send_queue", "record_failed")
_RECORD_RETRY = query("send_queue", "record_retry")
_HAND_BACK = query("send_queue", "hand_back")
_HOLD_QUEUE = query("send_queue", "hold_queue")
_WITHHOLD_MESSAGE = query("send_queue", "withhold_message")

_RETRY_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class _SentMessage:
    """A sent message with the callbacks that its record writes."""

    row: ClaimedMessage
    receipt: Receipt
    callback_id: uuid.UUID
    callback: str
    echo_id: uuid.UUID | None
    echo: str | None
    status_id: uuid.UUID
    status: str
    sent_files: str | None


@dataclass(frozen=True, slots=True)
class _Recorded:
    instance_id: str
    recorded: bool
    idle: bool


class OutcomeRecorder:
    """Records outcomes; repeats a record until Postgres has committed it."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        new_uuid: Callable[[], uuid.UUID],
        notifier: CallbackNotifier | None = None,
        *,
        order: QueueOrder = "chat",
        traffic: TrafficCounts | None = None,
        wake_schedule: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepares the recorder.

        Args:
            database: the pool.
            clock: time.
            new_uuid: ids of callbacks.
            notifier: is called after a callback was written.
            order: of queues without an order of their own.
            traffic: counts messages that were sent or failed.
            wake_schedule: is called after a message was withheld until a time.
        """
        self._wake_schedule = wake_schedule
        self._order: QueueOrder = order
        self._traffic = traffic or TrafficCounts(clock)
        self._database, self._clock, self._new_uuid = database, clock, new_uuid
        self._notifier = notifier or CallbackNotifier()
        self._batch = Batch[_SentMessage, bool](self._flush)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def record(self, row: ClaimedMessage, outcome: Outcome, *, echo: bool = False) -> bool:
        """Returns once the outcome is committed; a repeated statement changes nothing.

        With *echo*, a sent message is also posted as a received one (`notifySentByMe`).

        Returns:
            Whether the queue is empty now and marked idle, so that the next enqueue wakes its
            worker. False says nothing.
        """
        while True:
            try:
                is_idle = await self._record(row, outcome, echo=echo)
            except (DatabaseUnavailable, OperationalError) as error:  # the latter: a lost race
                logger.warning(
                    "database_unavailable",
                    component="recorder",
                    queue_id=row.zaap_id,
                    error=str(error),
                )
                await self._clock.sleep(_RETRY_SECONDS)
            else:
                self._count(row, outcome)
                return is_idle

    def _count(self, row: ClaimedMessage, outcome: Outcome) -> None:
        if isinstance(outcome, Sent):
            self._traffic.sent(row.instance_id, since=row.wanted_at)
        elif isinstance(outcome, Failed):
            self._traffic.failed(row.instance_id, outcome.error_class)

    async def _record(self, row: ClaimedMessage, outcome: Outcome, *, echo: bool) -> bool:
        match outcome:
            case Sent():
                return await self._batch.submit(self._with_callbacks(row, outcome, echo=echo))
            case HandedBack():
                await self._database.execute(_HAND_BACK, **_claim_of(row), attempts=row.attempts)
            case Held():
                await self._hold(row, outcome)
            case Withheld():
                await self._withhold(row, outcome)
            case Retried(after_seconds, error_class, reason, counts):
                await self._database.execute(
                    _RECORD_RETRY,
                    **_claim_of(row),
                    after_seconds=after_seconds,
                    outcome=error_class,
                    error=reason,
                    counts=counts,
                    attempts=row.attempts,
                    default_order=self._order,
                    max_parked=MAX_PARKED,
                )
            case Failed():
                await self._fail(row, outcome)
            case _:
                assert_never(outcome)
        return False

    async def _hold(self, row: ClaimedMessage, held: Held) -> None:
        await self._database.execute(
            _HOLD_QUEUE,
            **_claim_of(row),
            attempts=row.attempts + held.counts,
            deferrals=row.deferrals + (held.kind == "restricted" and not held.counts),
            until=held.until,
            reason=held.reason,
            kind=held.kind,
            callback_id=self._new_uuid(),
            callback=hold_body(
                row.instance_id,
                held.kind,
                held.reason,
                until=held.until,
                at_ms=self._clock.now_ms(),
            ),
        )
        self._notifier.callbacks_written()

    async def _withhold(self, row: ClaimedMessage, withheld: Withheld) -> None:
        await self._database.execute(
            _WITHHOLD_MESSAGE,
            **_claim_of(row),
            attempts=row.attempts,
            until=withheld.until,
            reason=withheld.reason,
            callback_id=self._new_uuid(),
            callback=hold_body(
                row.instance_id,
                FIRST_CONTACTS,
                withheld.reason,
                until=withheld.until,
                at_ms=self._clock.now_ms(),
            ),
        )
        self._wake_schedule()
        self._notifier.callbacks_written()

    async def _fail(self, row: ClaimedMessage, failed: Failed) -> None:
        await self._database.execute(
            _RECORD_FAILED,
            **_claim_of(row),
            outcome=failed.error_class,
            error=failed.reason,
            callback_id=self._new_uuid(),
            callback=delivery_body(row, at_ms=self._clock.now_ms(), error=failed.reason),
        )
        self._notifier.callbacks_written()

    def _with_callbacks(self, row: ClaimedMessage, sent: Sent, *, echo: bool) -> _SentMessage:
        at_ms = self._clock.now_ms()
        return _SentMessage(
            row,
            sent.receipt,
            callback_id=self._new_uuid(),
            callback=delivery_body(row, at_ms=at_ms),
            echo_id=self._new_uuid() if echo else None,
            echo=echo_body(row, sent, at_ms=at_ms) if echo else None,
            status_id=self._new_uuid(),
            status=sent_status_body(row, at_ms=at_ms),
            sent_files=stored_files(sent.files),
        )

    async def _flush(self, batch: list[_SentMessage]) -> Sequence[bool | Exception | NextFlush]:
        try:
            written = await self._database.fetch_all(
                _Recorded,
                _RECORD_SENT,
                instance_ids=[sent.row.instance_id for sent in batch],
                ids=[sent.row.id for sent in batch],
                epochs=[sent.row.claimed_epoch for sent in batch],
                claim_ids=[sent.row.claim_id for sent in batch],
                provider_message_ids=[sent.receipt.provider_message_id for sent in batch],
                provider_data=[sent.receipt.provider_data for sent in batch],
                chats=[sent.row.chat for sent in batch],
                callback_ids=[sent.callback_id for sent in batch],
                callbacks=[sent.callback for sent in batch],
                echo_ids=[sent.echo_id for sent in batch],
                echoes=[sent.echo for sent in batch],
                status_ids=[sent.status_id for sent in batch],
                status_callbacks=[sent.status for sent in batch],
                sent_files=[sent.sent_files for sent in batch],
            )
        except (DataError, IntegrityError) as error:
            return await self._bisect(batch, error)
        except OperationalError:  # a lost race, see driver_errors_translated
            return [NEXT_FLUSH] * len(batch)
        self._notifier.callbacks_written()
        idle = {row.instance_id: row.idle for row in written}
        return [idle.get(sent.row.instance_id, NEXT_FLUSH) for sent in batch]

    async def _bisect(
        self, batch: list[_SentMessage], error: Exception
    ) -> Sequence[bool | Exception | NextFlush]:
        """Splits the batch until the row that Postgres refuses fails alone."""
        if len(batch) == 1:
            return [error]
        middle = len(batch) // 2
        return [*await self._flush(batch[:middle]), *await self._flush(batch[middle:])]


def _claim_of(row: ClaimedMessage) -> dict[str, Any]:
    """Returns the parameters that guard each statement."""
    return {
        "instance_id": row.instance_id,
        "id": row.id,
        "epoch": row.claimed_epoch,
        "claim_id": row.claim_id,
    }
