"""A validated message becomes a row, durably, together with whatever else arrives meanwhile."""

import asyncio
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import attrgetter
from typing import Final

import tenacity
from psycopg import AsyncConnection, DataError, IntegrityError, OperationalError

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from gateway.clock import Clock
from gateway.contract.send import STORED_VERSION, OutgoingMessage, Queued
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.errors import (
    DatabaseUnavailable,
    Forbidden,
    IdempotencyKeyReused,
    InstanceNotConnected,
    QueueFull,
    UnknownInstance,
)
from gateway.instances.store import Instance
from gateway.randomness import RandomBytes
from gateway.send_queue.ids import message_id_of, new_zaap_id

_ENQUEUE = query("send_queue", "enqueue")
_ABANDON_FLUSH = query("send_queue", "abandon_flush")
_WAIT_FOR_LINES = query("send_queue", "wait_for_lines")
_FIND_MESSAGE_IDS = query("send_queue", "find_message_ids")
_FIND_LINES = query("send_queue", "find_lines")
_OPTED_OUT = query("people", "opted_out")

NOTE_OFFSET: Final = query("send_queue", "note_offset")

_PATIENCE_SECONDS = 5.0  # a restart of Postgres is not the caller's business
_PAUSE_WHEN_REFUSED_SECONDS = 0.25
_LOOK_UP_SECONDS = 15.0
_ROUNDS_BEFORE_DOUBT = 50
_STORED = ("accepted", "replayed")  # admissions after which the queue has the message


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many messages may wait (0: any number), how long, and how often each is tried."""

    max_waiting: int
    max_waiting_disconnected: int
    max_attempts: int
    max_age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class IdempotencyKey:
    """The caller's name for this very request, and a digest of its body."""

    key: str
    body_hash: bytes


@dataclass(frozen=True, slots=True)
class Offset:
    """Where the reader of a topic goes on once a message is accepted."""

    topic: str
    partition: int
    next_offset: int


@dataclass(slots=True)
class _Request:
    instance: Instance
    message: OutgoingMessage
    payload: str
    zaap_id: str
    message_id: str
    due_at: datetime | None
    idempotency: IdempotencyKey | None
    offset: Offset | None
    give_up_at: float
    rounds: int = 0


@dataclass(frozen=True, slots=True)
class _Judged:
    ordinal: int
    admission: str
    connected: bool
    queue_limit: int
    zaap_id: str
    message_id: str
    wakes_worker: bool
    holder_node_id: str | None


@dataclass(frozen=True, slots=True)
class _OptedOut:
    phone: str


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


class Enqueuer:
    """Part of the service; the one door into the queue."""

    def __init__(
        self,
        database: Database,
        *,
        node_id: str,
        limits: QueueLimits,
        clock: Clock,
        random_bytes: RandomBytes,
        wake: Callable[[Collection[str]], None],
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._database, self._node_id, self._limits = database, node_id, limits
        self._clock, self._random_bytes, self._wake = clock, random_bytes, wake
        self._new_uuid = new_uuid
        self._batch = Batch[_Request, Queued](self._flush)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def enqueue(
        self,
        instance: Instance,
        message: OutgoingMessage,
        *,
        idempotency: IdempotencyKey | None = None,
        offset: Offset | None = None,
    ) -> Queued:
        """Returns once the message is committed, and *offset* with it.

        Raises:
            QueueFull: the line holds as many messages as it may.
            InstanceNotConnected: the instance refuses sends while disconnected, and is.
            IdempotencyKeyReused: the key came before with another body.
            UnknownInstance: the instance was deleted meanwhile.
            Forbidden: the account refuses sends to people who opted out, and this is one.
            DatabaseUnavailable: nothing was accepted, or nobody can say so for now.
        """
        if instance.refuse_opted_out and await self._database.fetch_all(
            _OptedOut, _OPTED_OUT, instance_id=instance.id, phone=message.phone
        ):
            raise Forbidden("This person does not want to be written to")
        zaap_id = new_zaap_id(self._random_bytes)
        return await self._batch.submit(
            _Request(
                instance=instance,
                message=message,
                payload=message.model_dump_json(exclude_none=True),
                zaap_id=zaap_id,
                message_id=message_id_of(zaap_id),
                due_at=message.scheduled_for,
                idempotency=idempotency,
                offset=offset,
                give_up_at=self._clock.monotonic_seconds() + _PATIENCE_SECONDS,
            )
        )

    async def _flush(self, requests: list[_Request]) -> Sequence[Queued | Exception | NextFlush]:
        try:
            return await self._write(requests)
        except (DataError, IntegrityError) as error:
            return await self._bisect(requests, error)
        except OperationalError:  # a lost race, see driver_errors_translated
            return [NEXT_FLUSH] * len(requests)

    async def _bisect(
        self, requests: list[_Request], error: Exception
    ) -> Sequence[Queued | Exception | NextFlush]:
        """A row that Postgres cannot take fails alone."""
        if len(requests) == 1:
            return [error]
        middle = len(requests) // 2
        return [*await self._flush(requests[:middle]), *await self._flush(requests[middle:])]

    async def _write(self, requests: list[_Request]) -> Sequence[Queued | Exception | NextFlush]:
        judged, is_sent = list[_Judged](), False
        flush_id = self._new_uuid()
        try:
            async with self._database.connection() as connection:
                is_sent = True
                judged = await self._insert(connection, flush_id, requests)
        except DatabaseUnavailable as error:
            if is_sent and not error.refused:
                return await self._look_up(flush_id, requests)
            return await self._later(requests, error)
        answers = {row.ordinal: _answer(row, requests[row.ordinal]) for row in judged}
        self._wake_own(judged, requests)
        return [
            answers[n] if n in answers else await self._deferred(request)
            for n, request in enumerate(requests)
        ]

    async def _later(
        self, requests: list[_Request], error: DatabaseUnavailable
    ) -> Sequence[Exception | NextFlush]:
        """Nothing was accepted: again while the requests can wait."""
        if error.refused:  # at once, where a connection that fails takes its time
            await self._clock.sleep(_PAUSE_WHEN_REFUSED_SECONDS)
        now = self._clock.monotonic_seconds()
        return [NEXT_FLUSH if now < request.give_up_at else error for request in requests]

    async def _insert(
        self, connection: AsyncConnection, flush_id: uuid.UUID, requests: list[_Request]
    ) -> list[_Judged]:
        if not any(request.offset for request in requests):
            return await self._judge(connection, flush_id, requests)
        async with connection.transaction():
            judged = await self._judge(connection, flush_id, requests)
            await self._note_offsets(connection, judged, requests)
        return judged

    async def _judge(
        self, connection: AsyncConnection, flush_id: uuid.UUID, requests: list[_Request]
    ) -> list[_Judged]:
        chosen = _first_of_each_key(requests)
        rows = chosen.values()
        return await fetch_all(
            connection,
            _Judged,
            _ENQUEUE,
            flush_id=flush_id,
            node_id=self._node_id,
            ordinals=list(chosen),
            instance_ids=[r.instance.id for r in rows],
            zaap_ids=[r.zaap_id for r in rows],
            message_ids=[r.message_id for r in rows],
            types=[r.message.kind() for r in rows],
            versions=[STORED_VERSION] * len(rows),
            phones=[r.message.phone for r in rows],
            payloads=[r.payload for r in rows],
            priorities=[int(r.message.priority) for r in rows],
            due_ats=[r.due_at for r in rows],
            refuse_disconnected=[r.instance.disable_enqueue_when_disconnected for r in rows],
            idempotency_keys=[r.idempotency and r.idempotency.key for r in rows],
            body_hashes=[r.idempotency and r.idempotency.body_hash for r in rows],
            max_waiting=self._limits.max_waiting,
            max_waiting_disconnected=self._limits.max_waiting_disconnected,
            max_attempts=self._limits.max_attempts,
            max_age_seconds=self._limits.max_age_seconds,
        )

    async def _note_offsets(
        self, connection: AsyncConnection, judged: list[_Judged], requests: list[_Request]
    ) -> None:
        accepted = [requests[row.ordinal] for row in judged if row.admission in _STORED]
        for offset in sorted(
            (request.offset for request in accepted if request.offset), key=attrgetter("topic")
        ):
            await connection.execute(NOTE_OFFSET, asdict(offset))

    def _wake_own(self, judged: list[_Judged], requests: list[_Request]) -> None:
        self._wake(
            {
                requests[row.ordinal].instance.id
                for row in judged
                if row.wakes_worker and row.holder_node_id == self._node_id
            }
        )

    async def _look_up(
        self, flush_id: uuid.UUID, requests: list[_Request]
    ) -> Sequence[Queued | Exception | NextFlush]:
        """The answer was lost: whoever has a row was accepted, and nobody gets one later."""
        instance_ids = list({r.instance.id for r in requests})
        message_ids = [r.message_id for r in requests]
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
            stop=tenacity.stop_after_delay(_LOOK_UP_SECONDS),
            wait=tenacity.wait_exponential(0.05, max=1.0),
            reraise=True,
        ):
            with attempt:
                await self._database.execute(_ABANDON_FLUSH, flush_id=flush_id)
                # Taking the lock waits for the transaction in doubt to end.
                await self._database.execute(_WAIT_FOR_LINES, instance_ids=instance_ids)
                found = await self._database.fetch_all(
                    _Id, _FIND_MESSAGE_IDS, instance_ids=instance_ids, message_ids=message_ids
                )
        accepted = {row.id for row in found}
        self._wake(instance_ids)
        return [_queued(r, r.due_at) if r.message_id in accepted else NEXT_FLUSH for r in requests]

    async def _deferred(self, request: _Request) -> Exception | NextFlush:
        """A line that cannot be locked for long may not exist any more."""
        request.rounds += 1
        if request.rounds % _ROUNDS_BEFORE_DOUBT == 0:
            lines = await self._database.fetch_all(
                _Id, _FIND_LINES, instance_ids=[request.instance.id]
            )
            if not lines:
                return UnknownInstance()
        return NEXT_FLUSH


def _first_of_each_key(requests: Sequence[_Request]) -> dict[int, _Request]:
    """By their places; whoever repeats a key learns in the next flush what became of it."""
    keys: set[tuple[str, str]] = set()
    chosen = {}
    for n, request in enumerate(requests):
        if request.idempotency:
            key = (request.instance.id, request.idempotency.key)
            if key in keys:
                continue
            keys.add(key)
        chosen[n] = request
    return chosen


def _answer(row: _Judged, request: _Request) -> Queued | Exception:
    match row.admission:
        case "accepted":
            return _queued(request, request.due_at)
        case "replayed":
            return _queued(row, request.due_at)
        case "key_reused":
            return IdempotencyKeyReused()
        case "not_connected":
            return InstanceNotConnected()
        case "queue_full":
            return QueueFull(row.queue_limit, connected=row.connected)
        case _:
            raise AssertionError(f"unknown admission {row.admission}")


def _queued(named: _Request | _Judged, due_at: datetime | None) -> Queued:
    return Queued(
        zaap_id=named.zaap_id,
        message_id=named.message_id,
        id=named.message_id,
        scheduled_for=due_at,
    )
