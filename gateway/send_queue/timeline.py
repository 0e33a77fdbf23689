"""Puts what is stored of a message on one line of time: attempts, receipts and callbacks."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from gateway.contract.extensions.history import (
    CallbackTrace,
    MessageRecord,
    MessageTimeline,
    ReadTimeline,
    TimelineEntry,
)
from gateway.contract.handlers import Handlers
from gateway.contract.spellings import is_group
from gateway.database.queries import query
from gateway.history.operations import find_message
from gateway.history.states import MessageState, utc
from gateway.identities.people import names_of
from gateway.send_queue.ids import message_id_named
from gateway.send_queue.operations import QueueContext
from gateway.webhooks.callback_traces import events_about, trace

_LIST_ATTEMPTS = query("send_queue", "list_attempts")
_LIST_RECEIPTS = query("history", "list_receipts")

_MAX_PARTICIPANTS: Final = 1_000
_MAX_RECEIPT_TIMES: Final = 20

handlers = Handlers[QueueContext]()


@dataclass(frozen=True, slots=True)
class _FailedAttempt:
    started_at: datetime
    ended_at: datetime
    outcome: str
    error: str | None
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class _ParticipantReceipt:
    message_id: str
    participant: str
    lid: str | None
    delivered_at: datetime | None
    read_at: datetime | None
    played_at: datetime | None


@handlers.handles(ReadTimeline)
async def read_timeline(context: QueueContext, operation: ReadTimeline) -> MessageTimeline:
    database, instance_id = context.database, context.instance.id
    message = await find_message(database, instance_id, message_id_named(operation.message_id))
    attempts = await database.fetch_all(
        _FailedAttempt, _LIST_ATTEMPTS, instance_id=instance_id, message_id=message.message_id
    )
    receipts: list[_ParticipantReceipt] = []
    if is_group(message.phone):
        receipts = await database.fetch_all(
            _ParticipantReceipt,
            _LIST_RECEIPTS,
            instance_id=instance_id,
            message_ids=[message.message_id],
        )
    callbacks = await _callbacks(context, message, attempts, receipts)
    entries = [
        *_beginning(message),
        *_attempts(message, attempts),
        *_end(message),
        *_receipts(message, receipts[:_MAX_PARTICIPANTS]),
        *callbacks,
    ]
    return MessageTimeline(
        message=MessageRecord(**message.shown()),
        entries=tuple(sorted(entries, key=lambda entry: entry.at)),
    )


def _beginning(message: MessageState) -> Iterator[TimelineEntry]:
    if message.zaap_id is None:
        yield _entry(message.created_at, "received" if not message.from_me else "sent")
        return
    yield _entry(message.created_at, "accepted")
    if message.status == "scheduled" and message.due_at:
        yield _entry(message.due_at, "scheduled")


def _attempts(message: MessageState, failed: Sequence[_FailedAttempt]) -> Iterator[TimelineEntry]:
    """Yields the failed attempts, which have rows, and the one that is in flight or succeeded."""
    for attempt in failed:
        yield _entry(
            attempt.started_at,
            "attempt",
            ended_at=utc(attempt.ended_at),
            outcome=attempt.outcome,
            error=attempt.error,
        )
    if message.attempt_started_at:
        yield _entry(
            message.attempt_started_at,
            "attempt",
            ended_at=utc(message.sent_at),
            outcome="sent" if message.sent_at else None,
        )


def _end(message: MessageState) -> Iterator[TimelineEntry]:
    if message.zaap_id and message.sent_at:
        yield _entry(message.sent_at, "sent")
    if message.status == "canceled":
        yield _entry(message.recorded_at, "canceled")
    if message.failed_at:
        yield _entry(message.failed_at, "failed", error=message.shown()["error"])


def _receipts(
    message: MessageState, participants: Sequence[_ParticipantReceipt]
) -> Iterator[TimelineEntry]:
    """Yields the receipts of each participant of a group, else the first ones of the message."""
    for each in participants:
        for at, kind in _states(each):
            yield _entry(at, kind, participant=each.participant)
    if not participants:
        for at, kind in _states(message):
            yield _entry(at, kind)


def _states(
    of: MessageState | _ParticipantReceipt,
) -> Iterator[tuple[datetime, Literal["delivered", "read", "played"]]]:
    if of.delivered_at:
        yield of.delivered_at, "delivered"
    if of.read_at:
        yield of.read_at, "read"
    if of.played_at:
        yield of.played_at, "played"


async def _callbacks(
    context: QueueContext,
    message: MessageState,
    attempts: Sequence[_FailedAttempt],
    receipts: Sequence[_ParticipantReceipt],
) -> list[TimelineEntry]:
    database, instance_id = context.database, context.instance.id
    recorded = [message.recorded_at, message.failed_at, *(a.ended_at for a in attempts)]
    states = [*_states(message), *(state for each in receipts for state in _states(each))]
    reported = sorted({at for at, _ in states})
    events = await events_about(
        database,
        instance_id,
        message.message_id,
        recorded_ats=sorted({at for at in recorded if at}),
        receipt_ats=reported[:_MAX_RECEIPT_TIMES],
        chats=(await names_of(database, instance_id, message.phone)).every,
    )
    traced = await trace(database, instance_id, events)
    return [_entry(event.created_at, "callback", callback=found) for event, found in traced]


def _entry(
    at: datetime,
    kind: Literal[
        "accepted",
        "scheduled",
        "attempt",
        "sent",
        "delivered",
        "read",
        "played",
        "received",
        "failed",
        "canceled",
        "callback",
    ],
    *,
    ended_at: datetime | None = None,
    outcome: str | None = None,
    error: str | None = None,
    participant: str | None = None,
    callback: CallbackTrace | None = None,
) -> TimelineEntry:
    at = utc(at) or at
    return TimelineEntry(
        at=at,
        type=kind,
        ended_at=ended_at,
        outcome=outcome,
        error=error,
        participant=participant,
        callback=callback,
    )
