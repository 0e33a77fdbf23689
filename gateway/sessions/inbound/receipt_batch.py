"""Stores the receipts of all sessions of a node together.

Each sent message has two receipts or more. A transaction for each costs more than the message.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import OperationalError

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from gateway.database.pool import Database
from gateway.errors import Unavailable
from gateway.sessions.events import MessageAcknowledged
from gateway.sessions.inbound.acknowledgements import process_acknowledgements
from gateway.sessions.inbound.inbox import NewEvent, add_events, make_pending
from gateway.webhooks.outbox import Outbox

_MAX_EVENTS = 200


@dataclass(frozen=True, slots=True)
class ReportedReceipt:
    """A receipt as its session reported it, and the form in which it is stored."""

    stored: NewEvent
    event: MessageAcknowledged


class ReceiptBatch:
    """Commits receipts in batches; a receipt that fails does so alone."""

    def __init__(
        self, database: Database, outbox: Outbox, *, interval_seconds: float = 0.0
    ) -> None:
        """Prepares the batch; *interval_seconds* is from one transaction to the next."""
        self._database, self._outbox = database, outbox
        self._batch = Batch[ReportedReceipt, bool | None](
            self._flush, max_size=_MAX_EVENTS, interval_seconds=interval_seconds
        )

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def due(self) -> None:
        """Waits until the interval of the batch is over."""
        await self._batch.due()

    async def store(self, receipt: ReportedReceipt) -> bool | None:
        """Commits the receipt.

        Returns whether it was processed; otherwise it is pending. None for a repeated event.

        Raises:
            DatabaseUnavailable: it may have been committed.
        """
        return await self._batch.submit(receipt)

    async def _flush(
        self, receipts: list[ReportedReceipt]
    ) -> Sequence[bool | Exception | NextFlush | None]:
        """Takes the first receipt of each instance; a later one must see what that one changed."""
        first = {each.stored.instance_id: each for each in reversed(receipts)}
        answers = await self._commit([first[instance_id] for instance_id in sorted(first)])
        return [
            answers[each.stored.instance_id]
            if each is first[each.stored.instance_id]
            else NEXT_FLUSH
            for each in receipts
        ]

    async def _commit(
        self, receipts: Sequence[ReportedReceipt]
    ) -> dict[str, bool | Exception | NextFlush | None]:
        """Returns the answers by instance; halves the batch until what fails does so alone."""
        try:
            return {**await self._write(receipts)}
        except Unavailable:
            raise
        except OperationalError:  # a lost race, see driver_errors_translated
            return dict.fromkeys((each.stored.instance_id for each in receipts), NEXT_FLUSH)
        except Exception as error:  # noqa: BLE001 - the session reports it, and stores the event
            if len(receipts) == 1:
                return {receipts[0].stored.instance_id: error}
        middle = len(receipts) // 2
        return await self._commit(receipts[:middle]) | await self._commit(receipts[middle:])

    async def _write(self, receipts: Sequence[ReportedReceipt]) -> dict[str, bool | None]:
        async with self._database.transaction() as connection:
            added = await add_events(connection, [each.stored for each in receipts], at_once=True)
            answers = {each.stored.instance_id: None for each in receipts} | added
            processed = [each for each in receipts if added.get(each.stored.instance_id)]
            if processed:
                finished = await process_acknowledgements(
                    connection,
                    self._outbox,
                    [(each.stored.instance_id, each.event) for each in processed],
                )
                for each, is_finished in zip(processed, finished, strict=True):
                    if not is_finished:
                        await make_pending(connection, each.stored)
                        answers[each.stored.instance_id] = False
        return answers
