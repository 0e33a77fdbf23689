"""Callbacks about connections, for instances that ask for them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg import AsyncConnection

from gateway.clock import Clock, epoch_ms
from gateway.contract.callbacks import (
    CONNECTION_CHAT,
    ConnectionRefusedCallback,
    ReceiptMissingCallback,
)
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.sessions.health import MAX_REFUSALS
from gateway.sessions.watched_connection import WatchedConnection
from gateway.webhooks.outbox import Outbox

_LIST_RECEIPT_RULES = query("connections", "list_receipt_rules")
_FIND_WITHOUT_RECEIPT = query("connections", "find_without_receipt")
_NOTE_RECEIPTS_SEEN = query("connections", "note_receipts_seen")
_LIST_NOTIFIED = query("connections", "list_notified_of_refusals")

# Historic, as with holds: the type of the event selects the webhook; the body has its own.
_WEBHOOK_OF_STATES: Final = "MessageStatusCallback"
_WEBHOOK_OF_DISCONNECTIONS: Final = "DisconnectedCallback"
_INSTANCES_AT_ONCE = 100
_MESSAGES_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class _Instance:
    instance_id: str


@dataclass(frozen=True, slots=True)
class _Message:
    instance_id: str
    minutes: int
    message_id: str
    phone: str
    track_id: str | None
    recorded_at: datetime


class ConnectionCallbacks:
    """Writes the callbacks; every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database, outbox: Outbox, clock: Clock) -> None:
        self._database, self._outbox, self._clock = database, outbox, clock

    async def refused(self, refused: Sequence[WatchedConnection]) -> None:
        """Says of connections that WhatsApp refused too often that they are tried hourly now."""
        if not refused:
            return
        by_instance = {each.instance_id: each for each in refused}
        wanted = await self._database.fetch_all(
            _Instance, _LIST_NOTIFIED, instance_ids=list(by_instance)
        )
        for row in wanted:
            connection = by_instance[row.instance_id]
            callback = ConnectionRefusedCallback(
                instance_id=row.instance_id,
                momment=epoch_ms(self._clock.now()),
                provider=connection.provider,
                error=connection.reason or "",
                attempts=MAX_REFUSALS,
            )
            await self._outbox.enqueue(CONNECTION_CHAT, [(_WEBHOOK_OF_DISCONNECTIONS, callback)])

    async def missing_receipts(self) -> None:
        """Says of each accepted message that its minutes are over without a receipt, once."""
        after = ""
        while rows := await self._database.fetch_all(
            _Instance, _LIST_RECEIPT_RULES, after=after, max_count=_INSTANCES_AT_ONCE
        ):
            after = rows[-1].instance_id
            async with self._database.transaction() as connection:
                has_some = await self._write(connection, [row.instance_id for row in rows])
            if has_some:
                self._outbox.notifier.callbacks_written()

    async def _write(self, connection: AsyncConnection, instance_ids: list[str]) -> bool:
        found = await fetch_all(
            connection,
            _Message,
            _FIND_WITHOUT_RECEIPT,
            instance_ids=instance_ids,
            max_count=_MESSAGES_AT_ONCE,
        )
        by_instance: dict[str, list[_Message]] = {instance_id: [] for instance_id in instance_ids}
        for message in found:
            by_instance[message.instance_id].append(message)
            await self._outbox.enqueue_within(
                connection,
                message.instance_id,
                message.phone,
                _WEBHOOK_OF_STATES,
                self._missing(message).body(),
            )
        seen_up_to = [
            messages[-1].recorded_at if len(messages) >= _MESSAGES_AT_ONCE else None
            for messages in by_instance.values()
        ]
        await connection.execute(
            _NOTE_RECEIPTS_SEEN, {"instance_ids": list(by_instance), "seen_up_to": seen_up_to}
        )
        return bool(found)

    def _missing(self, message: _Message) -> ReceiptMissingCallback:
        return ReceiptMissingCallback(
            instance_id=message.instance_id,
            phone=message.phone,
            message_id=message.message_id,
            track_id=message.track_id,
            momment=epoch_ms(self._clock.now()),
            accepted_at=epoch_ms(message.recorded_at),
            minutes=message.minutes,
        )
