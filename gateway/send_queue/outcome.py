"""What became of an attempt: one outcome for every failure, one guarded statement for each.

NotConnected    HandedBack   no attempt spent, the session will come back
Restricted      Held         no attempt spent, the whole line waits
TryAgainLater   Retried      while attempts are left, else Failed
Refused         Failed
Unconfirmed     Retried      where the provider shows one id once, else Failed
"""

import asyncio
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, assert_never

from psycopg import DataError, IntegrityError, OperationalError

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from gateway.clock import Clock, epoch_ms
from gateway.contract.callbacks import DeliveryCallback, QueueHeldCallback
from gateway.contract.callbacks.sent import sent_callback_body
from gateway.contract.catalogue import catalogue
from gateway.contract.echo import EchoContext
from gateway.contract.known import KnownMessage
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import (
    DatabaseUnavailable,
    NotConnected,
    Refused,
    Restricted,
    TryAgainLater,
    Unconfirmed,
)
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.randomness import Uniform
from gateway.send_queue.claim import Claimed
from gateway.send_queue.pacing import Backoff
from gateway.sessions.provider import Receipt, SendFailure
from gateway.webhooks.notifier import CallbackNotifier

_RECORD_SENT = query("send_queue", "record_sent")
_RECORD_FAILED = query("send_queue", "record_failed")
_RECORD_RETRY = query("send_queue", "record_retry")
_HAND_BACK = query("send_queue", "hand_back")
_HOLD_LINE = query("send_queue", "hold_line")

_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 0.5

HoldKind = Literal["restricted", "daily_limit"]


@dataclass(frozen=True, slots=True)
class Sent:
    """WhatsApp accepted the message; `referred` holds the earlier messages that it names."""

    receipt: Receipt
    referred: Mapping[str, KnownMessage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HandedBack:
    """As if it had never been claimed."""


@dataclass(frozen=True, slots=True)
class Held:
    """The line waits: WhatsApp asks for quiet, or the day's messages are sent."""

    until: datetime
    reason: str
    kind: HoldKind = "restricted"


@dataclass(frozen=True, slots=True)
class Retried:
    """The attempt counts; the next one comes after a pause."""

    after_seconds: float
    error_class: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Given up; it stays as a dead letter and the lane goes on."""

    error_class: str
    reason: str


Outcome = Sent | HandedBack | Held | Retried | Failed


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How failed attempts are repeated."""

    backoff: Backoff
    uniform: Uniform


def outcome_of(
    failure: SendFailure,
    *,
    attempts: int,
    max_attempts: int,
    can_repeat_send: bool,
    policy: RetryPolicy,
) -> Outcome:
    """What a failed attempt leads to; *attempts* counts this one."""

    def again(error_class: str, after_seconds: float | None) -> Outcome:
        if attempts >= max_attempts:
            return Failed(error_class, str(failure))
        pause = policy.backoff.after(attempts, policy.uniform)
        return Retried(pause if after_seconds is None else after_seconds, error_class, str(failure))

    unconfirmed = Failed("unconfirmed", f"unconfirmed: {failure}")
    match failure:
        case NotConnected():
            return HandedBack()
        case Restricted(until=until):
            return Held(until, str(failure))
        case TryAgainLater(after_seconds=after_seconds):
            return again("transient", after_seconds)
        case Refused():
            return Failed("refused", str(failure))
        case Unconfirmed():
            return again("unconfirmed", None) if can_repeat_send else unconfirmed
        case _:
            assert_never(failure)


@dataclass(frozen=True, slots=True)
class _SentRow:
    row: Claimed
    receipt: Receipt
    callback_id: uuid.UUID
    callback: str
    echo_id: uuid.UUID | None
    echo: str | None
    """The message as a received one; the statement adds who is who."""


@dataclass(frozen=True, slots=True)
class _Recorded:
    instance_id: str
    recorded: bool


class Recorder:
    """Part of the service; writes outcomes, and does not give up while the database is away."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        new_uuid: Callable[[], uuid.UUID],
        notifier: CallbackNotifier | None = None,
    ) -> None:
        """*notifier* is called after a callback was written."""
        self._database, self._clock, self._new_uuid = database, clock, new_uuid
        self._notifier = notifier or CallbackNotifier()
        self._batch = Batch[_SentRow, bool](self._flush)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def record(self, row: Claimed, outcome: Outcome, *, echo: bool = False) -> None:
        """Returns once the outcome is committed; it is then never written again.

        With *echo* the message sent is told as a received one too (`notifySentByMe`).
        """
        while True:
            try:
                await self._record(row, outcome, echo=echo)
            except DatabaseUnavailable as error:
                logger.warning("record_delayed", queue_id=row.zaap_id, error=str(error))
                await self._clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)
            else:
                return

    async def _record(self, row: Claimed, outcome: Outcome, *, echo: bool) -> None:
        where = {
            "instance_id": row.instance_id,
            "id": row.id,
            "epoch": row.claimed_epoch,
            "claim_id": row.claim_id,
        }
        match outcome:
            case Sent(receipt, referred):
                sent = _SentRow(
                    row,
                    receipt,
                    self._new_uuid(),
                    self._callback(row),
                    self._new_uuid() if echo else None,
                    self._echo(row, referred) if echo else None,
                )
                await self._batch.submit(sent)
            case HandedBack():
                await self._database.execute(_HAND_BACK, **where, attempts=row.attempts)
            case Held(until, reason, kind):
                await self._database.execute(
                    _HOLD_LINE,
                    **where,
                    attempts=row.attempts,
                    until=until,
                    reason=reason,
                    kind=kind,
                    callback_id=self._new_uuid(),
                    callback=self._hold_callback(row, outcome),
                )
                self._notifier.callbacks_written()
            case Retried(after_seconds, error_class, reason):
                await self._database.execute(
                    _RECORD_RETRY,
                    **where,
                    after_seconds=after_seconds,
                    outcome=error_class,
                    error=reason,
                )
            case Failed(error_class, reason):
                await self._database.execute(
                    _RECORD_FAILED,
                    **where,
                    outcome=error_class,
                    error=reason,
                    callback_id=self._new_uuid(),
                    callback=self._callback(row, error=reason),
                )
                self._notifier.callbacks_written()
            case _:
                assert_never(outcome)

    def _callback(self, row: Claimed, *, error: str | None = None) -> str:
        return DeliveryCallback(
            instance_id=row.instance_id,
            momment=self._clock.now_ms(),
            phone=row.phone,
            zaap_id=row.zaap_id,
            message_id=row.message_id,
            error=error,
        ).body()

    def _hold_callback(self, row: Claimed, held: Held) -> str:
        return QueueHeldCallback(
            instance_id=row.instance_id,
            momment=self._clock.now_ms(),
            reason=held.reason,
            kind=held.kind,
            until=epoch_ms(held.until),
        ).body()

    def _echo(self, row: Claimed, referred: Mapping[str, KnownMessage]) -> str | None:
        try:
            message = catalogue().sends[row.type].model_validate(row.payload)
            context = EchoContext(row.message_id, self._clock.now_ms(), referred)
            return sent_callback_body(message, context, instance_id=row.instance_id)
        except Exception as error:  # noqa: BLE001 - the message has left: it must be recorded
            report_error(error, component="recorder", message_type=row.type)
            return None

    async def _flush(self, rows: list[_SentRow]) -> Sequence[bool | Exception | NextFlush]:
        try:
            written = await self._database.fetch_all(
                _Recorded,
                _RECORD_SENT,
                instance_ids=[sent.row.instance_id for sent in rows],
                ids=[sent.row.id for sent in rows],
                epochs=[sent.row.claimed_epoch for sent in rows],
                claim_ids=[sent.row.claim_id for sent in rows],
                provider_message_ids=[sent.receipt.provider_message_id for sent in rows],
                provider_data=[sent.receipt.provider_data for sent in rows],
                chats=[sent.row.phone for sent in rows],
                callback_ids=[sent.callback_id for sent in rows],
                callbacks=[sent.callback for sent in rows],
                echo_ids=[sent.echo_id for sent in rows],
                echoes=[sent.echo for sent in rows],
            )
        except (DataError, IntegrityError) as error:
            if len(rows) == 1:
                return [error]
            middle = len(rows) // 2
            return [*await self._flush(rows[:middle]), *await self._flush(rows[middle:])]
        except OperationalError:  # a lost race, see driver_errors_translated
            return [NEXT_FLUSH] * len(rows)
        self._notifier.callbacks_written()
        recorded = {row.instance_id: row.recorded for row in written}
        return [recorded.get(sent.row.instance_id, NEXT_FLUSH) for sent in rows]
