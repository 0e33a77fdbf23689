"""What became of callbacks: those about a message, those that wait, and one with its body."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import orjson

from gateway.contract.extensions.history import CallbackTrace
from gateway.contract.extensions.replay import (
    DeliveryAttempt,
    FindCallback,
    ListWaitingCallbacks,
    ListWebhookStates,
    StoredCallback,
    WaitingDeliveryQueue,
    WaitingPage,
    WebhookState,
    WebhookStates,
)
from gateway.contract.handlers import Handlers
from gateway.contract.secret_fields import origin_of
from gateway.database.cursors import read_places, write_cursor
from gateway.database.payload_seal import UnopenedText
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import NotFound
from gateway.webhooks.claimed_callback import OWN_WEBHOOKS
from gateway.webhooks.operations import WebhookContext

_FIND_MESSAGE_EVENTS = query("callback_traces", "find_message_events")
_TRACE_CALLBACKS = query("callback_traces", "trace_callbacks")
_LIST_WAITING_QUEUES = query("callback_traces", "list_waiting_queues")
_LIST_WEBHOOK_STATES = query("callback_traces", "list_webhook_states")
_LIST_CALLBACK_ATTEMPTS = query("callback_traces", "list_callback_attempts")
_FIND_WAITING_CALLBACK = query("callback_traces", "find_waiting_callback")
_FIND_DEAD_CALLBACK = query("callback_traces", "find_dead_callback")
_FIND_RECORDED_CALLBACK = query("callback_traces", "find_recorded_callback")

_MAX_EXAMINED: Final = 2_000
_MAX_EVENTS_OF_RECEIPT: Final = 200
_MAX_ATTEMPTS: Final = 100

CallbackStatus = Literal["waiting", "delivered", "dead", "discarded"]

handlers = Handlers[WebhookContext]()


@dataclass(frozen=True, slots=True)
class MessageEvent:
    """A recorded event about a message."""

    id: uuid.UUID
    type: str
    chat: str
    body: str
    created_at: datetime

    def is_about(self, message_id: str) -> bool:
        """Returns False for one whose content no key opens."""
        if isinstance(self.body, UnopenedText):
            return False
        body = orjson.loads(self.body)
        return message_id == body.get("messageId") or message_id in (body.get("ids") or ())


@dataclass(frozen=True, slots=True)
class _Trace:
    event_id: uuid.UUID
    webhook_id: uuid.UUID
    id: uuid.UUID
    url: str | None
    is_waiting: bool
    due_at: datetime | None
    queue_failure: str | None
    dead_letter: str | None
    dead_letter_failure: str | None
    attempts: int
    delivered_at: datetime | None
    http_status: int | None
    failure: str | None

    @property
    def status(self) -> CallbackStatus:
        if self.is_waiting or self.dead_letter == "processing":
            return "waiting"
        if self.dead_letter in ("pending", "failed"):
            return "dead"
        if self.dead_letter == "discarded":
            return "discarded"
        return "delivered" if self.dead_letter or self.delivered_at else "waiting"

    @property
    def error(self) -> str | None:
        if self.status == "delivered":
            return None
        if self.status == "waiting":
            return self.failure or self.queue_failure
        return self.dead_letter_failure


@dataclass(frozen=True, slots=True)
class _WaitingQueue:
    webhook_id: uuid.UUID
    chat: str
    pending: int
    due_at: datetime | None
    attempts: int
    failure: str | None
    failing_since: datetime | None
    is_claimed: bool
    event_id: uuid.UUID | None
    type: str | None
    created_at: datetime | None
    url: str | None


@dataclass(frozen=True, slots=True)
class _Stored:
    webhook_id: uuid.UUID
    chat: str
    type: str
    body: str
    created_at: datetime
    status: CallbackStatus | None = None
    failure: str | None = None


async def events_about(
    database: Database,
    instance_id: str,
    message_id: str,
    *,
    recorded_ats: Sequence[datetime],
    receipt_ats: Sequence[datetime],
    chats: Sequence[str],
) -> list[MessageEvent]:
    """Returns the recorded events about a message.

    Args:
        database: where the events are.
        instance_id: the instance of the message.
        message_id: its messageId.
        recorded_ats: when transactions recorded it or a failed attempt; their events are as old.
        receipt_ats: when receipts were reported; their events were recorded soon afterwards.
        chats: the names of its chat.
    """
    events = await database.fetch_all(
        MessageEvent,
        _FIND_MESSAGE_EVENTS,
        instance_id=instance_id,
        recorded_ats=list(recorded_ats),
        receipt_ats=list(receipt_ats),
        chats=list(chats),
        max_examined=_MAX_EXAMINED,
        max_found=_MAX_EVENTS_OF_RECEIPT,
    )
    return [event for event in events if event.is_about(message_id)]


async def trace(
    database: Database, instance_id: str, events: Sequence[MessageEvent]
) -> list[tuple[MessageEvent, CallbackTrace]]:
    """Returns what became of each event, once for each webhook that got it or is to get it."""
    rows = await database.fetch_all(
        _Trace,
        _TRACE_CALLBACKS,
        instance_id=instance_id,
        event_ids=[event.id for event in events],
        chats=[event.chat for event in events],
        types=[event.type for event in events],
        max_examined=_MAX_EXAMINED,
    )
    by_id = {event.id: event for event in events}
    return [(by_id[row.event_id], _traced(by_id[row.event_id], row)) for row in rows]


def _traced(event: MessageEvent, row: _Trace) -> CallbackTrace:
    return CallbackTrace(
        event_id=row.id,
        webhook_id=None if row.webhook_id == OWN_WEBHOOKS else row.webhook_id,
        type=event.type,
        host=row.url and origin_of(row.url),
        status=row.status,
        attempts=row.attempts,
        delivered_at=row.delivered_at,
        http_status=row.http_status,
        error=row.error,
        next_attempt_at=row.due_at if row.is_waiting else None,
    )


@handlers.handles(ListWaitingCallbacks)
async def list_waiting_callbacks(
    context: WebhookContext, operation: ListWaitingCallbacks
) -> WaitingPage:
    after: tuple[Any, ...] = ("", OWN_WEBHOOKS)
    if operation.paging_state:
        after = read_places(operation.paging_state, str, uuid.UUID)
    rows = await context.database.fetch_all(
        _WaitingQueue,
        _LIST_WAITING_QUEUES,
        instance_id=context.instance.id,
        webhook_id=operation.webhook_id,
        after=after[0],
        after_webhook=after[1],
        limit=operation.page_size + 1,
    )
    page, more = rows[: operation.page_size], len(rows) > operation.page_size
    return WaitingPage(
        queues=tuple(map(_waiting_queue, page)),
        paging_state=write_cursor(page[-1].chat, page[-1].webhook_id) if more else None,
        has_more=more,
    )


def _waiting_queue(row: _WaitingQueue) -> WaitingDeliveryQueue:
    return WaitingDeliveryQueue(
        chat=row.chat,
        webhook_id=row.webhook_id,
        host=row.url and origin_of(row.url),
        waiting=row.pending,
        in_flight=row.is_claimed,
        next_attempt_at=None if row.is_claimed else row.due_at,
        attempts=row.attempts,
        error=row.failure,
        failing_since=row.failing_since,
        event_id=row.event_id,
        type=row.type,
        created_at=row.created_at,
    )


@handlers.handles(ListWebhookStates)
async def list_webhook_states(
    context: WebhookContext, _operation: ListWebhookStates
) -> WebhookStates:
    rows = await context.database.fetch_all(
        WebhookState, _LIST_WEBHOOK_STATES, instance_id=context.instance.id
    )
    return WebhookStates(states=tuple(rows))


@handlers.handles(FindCallback)
async def find_callback(context: WebhookContext, operation: FindCallback) -> StoredCallback:
    attempts = await context.database.fetch_all(
        DeliveryAttempt,
        _LIST_CALLBACK_ATTEMPTS,
        instance_id=context.instance.id,
        id=operation.event_id,
        limit=_MAX_ATTEMPTS,
    )
    stored = await _find_stored(context, operation.event_id, attempts)
    if stored is None and not attempts:
        raise NotFound("Callback not found")
    latest = attempts[0] if attempts else None
    status = _status_of(stored, attempts)
    return StoredCallback(
        event_id=operation.event_id,
        webhook_id=stored.webhook_id if stored else latest and latest.webhook_id,
        type=stored.type if stored else latest and latest.type,
        chat=stored.chat if stored else latest and latest.chat,
        status=status,
        error=None
        if status == "delivered"
        else (stored and stored.failure) or (latest and latest.error),
        created_at=stored and stored.created_at,
        body=orjson.loads(str(stored.body)) if stored else None,
        attempts=tuple(attempts),
    )


def _status_of(stored: _Stored | None, attempts: Sequence[DeliveryAttempt]) -> CallbackStatus:
    if stored and stored.status:
        return stored.status
    return "delivered" if any(attempt.success for attempt in attempts) else "waiting"


async def _find_stored(
    context: WebhookContext, callback_id: uuid.UUID, attempts: Sequence[DeliveryAttempt]
) -> _Stored | None:
    """Looks among what waits, the dead letters, and the events before the first attempt."""
    database, instance_id = context.database, context.instance.id
    waiting = await database.fetch_one(
        _Stored,
        _FIND_WAITING_CALLBACK,
        instance_id=instance_id,
        id=callback_id,
        max_examined=_MAX_EXAMINED,
    )
    found = waiting or await database.fetch_one(
        _Stored, _FIND_DEAD_CALLBACK, instance_id=instance_id, id=callback_id
    )
    if found or not attempts:
        return found
    return await database.fetch_one(
        _Stored,
        _FIND_RECORDED_CALLBACK,
        instance_id=instance_id,
        id=callback_id,
        webhook_id=attempts[-1].webhook_id or OWN_WEBHOOKS,
        at=attempts[-1].posted_at,
        max_examined=_MAX_EXAMINED,
    )
