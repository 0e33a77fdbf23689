"""Finds connections whose accepted messages have no receipts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.contract.extensions.connections import ReceiptAlarm
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.sessions.connection import ConnectionState
from gateway.sessions.watched_connection import WatchedConnection

_FIND_MISSING_RECEIPTS = query("connections", "find_missing_receipts")
_RECEIPT_SECONDS: Final = 300.0


@dataclass(frozen=True, slots=True)
class _MissingReceipts:
    instance_id: str
    missing: int
    of_messages: int
    wait_seconds: int


@dataclass(frozen=True, slots=True)
class ReceiptWatch:
    """Looks every five minutes; *alarm* is the rule of instances that have none of their own."""

    database: Database
    alarm: ReceiptAlarm

    async def look(self, due: Sequence[WatchedConnection], now: float) -> None:
        """Notes on each connection that is due whether its receipts are missing."""
        asked = {
            each.instance_id: each
            for each in due
            if each.receipts_due_at <= now
            and each.live
            and each.live.state is ConnectionState.CONNECTED
        }
        if not asked:
            return
        rows = await self.database.fetch_all(
            _MissingReceipts,
            _FIND_MISSING_RECEIPTS,
            instance_ids=list(asked),
            connection_ids=[each.live and each.live.connection_id for each in asked.values()],
            missing_receipts=self.alarm.missing_receipts,
            of_messages=self.alarm.of_messages,
            wait_seconds=self.alarm.wait_seconds,
        )
        for each in asked.values():
            each.missing_receipts, each.receipts_due_at = None, now + _RECEIPT_SECONDS
        for row in rows:
            asked[row.instance_id].missing_receipts = (
                f"WhatsApp accepted messages, and {row.missing} of the last {row.of_messages} have "
                f"no receipt after {row.wait_seconds} seconds."
            )
