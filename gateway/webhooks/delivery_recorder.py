"""Writes down how far chats came and what became of each attempt, many at once."""

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection, OperationalError

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from gateway.clock import Clock
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable
from gateway.observability.logging import logger

_FINISH_LINES = query("webhooks", "finish_lines")
_LOG_DELIVERIES = query("webhooks", "log_deliveries")

_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Attempt:
    """One POST as the log of deliveries shows it."""

    instance_id: str
    chat: str
    callback_id: uuid.UUID
    type: str
    target: str
    number: int
    seconds: float
    status: int | None
    error: str | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Finished:
    """How far a claimed chat came, and when it goes on.

    Attributes:
        up_to: the last position that is settled.
        progressed: something was taken, or nobody wants it any more.
        attempts: of what is now at the head; of the dead one, where there is one.
        error: why the chat waits, where something is wrong.
        dead: what was given up.
        address: what the chat waits for; it goes on as soon as that answers.
    """

    instance_id: str
    chat: str
    claim_id: uuid.UUID
    up_to: int
    progressed: bool = False
    attempts: int = 0
    pause_seconds: float = 0.0
    error: str | None = None
    dead: uuid.UUID | None = None
    address: str | None = None
    log: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    instance_id: str
    chat: str
    goes_on: bool


class DeliveryRecorder:
    """Part of the service."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._batch = Batch[Finished, bool](self._flush, largest=200)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def finish(self, finished: Finished) -> bool:
        """Returns once it is committed, however long that takes; says whether the chat goes on."""
        while True:
            try:
                return await self._batch.submit(finished)
            except DatabaseUnavailable as error:
                logger.warning("delivery_waits_for_database", error=str(error))
                await self._clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)

    async def _flush(self, done: list[Finished]) -> Sequence[bool | NextFlush]:
        try:
            async with self._database.transaction() as connection:
                lines = await self._finish(connection, done)
                await self._log(connection, [a for finished in done for a in finished.log])
        except OperationalError:  # a lost race, see driver_errors_translated
            return [NEXT_FLUSH] * len(done)
        going_on = {(line.instance_id, line.chat) for line in lines if line.goes_on}
        return [(finished.instance_id, finished.chat) in going_on for finished in done]

    async def _finish(self, connection: AsyncConnection, done: list[Finished]) -> list[_Line]:
        return await fetch_all(
            connection,
            _Line,
            _FINISH_LINES,
            instance_ids=[f.instance_id for f in done],
            chats=[f.chat for f in done],
            claim_ids=[f.claim_id for f in done],
            up_to=[f.up_to for f in done],
            progressed=[f.progressed for f in done],
            attempts=[f.attempts for f in done],
            pauses=[f.pause_seconds for f in done],
            errors=[f.error for f in done],
            dead=[f.dead for f in done],
            addresses=[f.address for f in done],
        )

    async def _log(self, connection: AsyncConnection, attempts: list[Attempt]) -> None:
        if not attempts:
            return
        await connection.execute(
            _LOG_DELIVERIES,
            {
                "instance_ids": [a.instance_id for a in attempts],
                "callback_ids": [a.callback_id for a in attempts],
                "types": [a.type for a in attempts],
                "chats": [a.chat for a in attempts],
                "targets": [a.target for a in attempts],
                "attempts": [a.number for a in attempts],
                "taken": [a.error is None for a in attempts],
                "statuses": [a.status for a in attempts],
                "errors": [a.error for a in attempts],
                "answers": [a.answer for a in attempts],
                "durations_ms": [round(a.seconds * 1000) for a in attempts],
            },
        )
