"""A validated message becomes a row, durably, together with whatever else arrives meanwhile."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from operator import attrgetter
from typing import Final

import tenacity
from psycopg import AsyncConnection, DataError, IntegrityError, OperationalError

from gateway.batching import NOT_NOW, Batch, NotNow
from gateway.clock import Clock
from gateway.contract.send import STORED_VERSION, Queued, Send
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
from gateway.random import RandomBytes
from gateway.send_queue.ids import message_id_of, new_zaap_id

_LOCK_LINES = query("send_queue", "lock_lines")
_ENQUEUE = query("send_queue", "enqueue")
_NOTIFY_NODES = query("send_queue", "notify_nodes")
_WAIT_FOR_LINES = query("send_queue", "wait_for_lines")
_FIND_MESSAGE_IDS = query("send_queue", "find_message_ids")
_FIND_LINES = query("send_queue", "find_lines")
_OPTED_OUT = query("people", "opted_out")

NOTE_OFFSET: Final = query("send_queue", "note_offset")

_IDS_IN_A_NOTIFICATION = 200  # Postgres takes 8,000 bytes
_PATIENCE_SECONDS = 5.0  # a restart of Postgres is not the caller's business
_LOOK_UP_SECONDS = 15.0
_ROUNDS_BEFORE_DOUBT = 50


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
    message: Send
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
    verdict: str
    connected: bool
    most: int
    zaap_id: str
    message_id: str
    wakes: bool
    node_id: str | None


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
    ) -> None:
        self._database, self._node_id, self._limits = database, node_id, limits
        self._clock, self._random_bytes, self._wake = clock, random_bytes, wake
        self._batch = Batch[_Request, Queued](self._flush)

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    async def enqueue(
        self,
        instance: Instance,
        message: Send,
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
        return await self._batch.ask(
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

    async def _flush(self, requests: list[_Request]) -> Sequence[Queued | Exception | NotNow]:
        try:
            return await self._write(requests)
        except (DataError, IntegrityError) as error:
            return await self._bisect(requests, error)
        except OperationalError:  # a lost race, see driver_errors_translated
            return [NOT_NOW] * len(requests)

    async def _bisect(
        self, requests: list[_Request], error: Exception
    ) -> Sequence[Queued | Exception | NotNow]:
        """A row that Postgres cannot take fails alone."""
        if len(requests) == 1:
            return [error]
        middle = len(requests) // 2
        return [*await self._flush(requests[:middle]), *await self._flush(requests[middle:])]

    async def _write(self, requests: list[_Request]) -> Sequence[Queued | Exception | NotNow]:
        answers: dict[int, Queued | Exception] = {}
        sent_anything = False
        try:
            async with self._database.transaction() as connection:
                chosen = await self._lock(connection, requests)
                sent_anything = bool(chosen)
                judged = await self._insert(connection, chosen) if chosen else []
                await self._note_offsets(connection, judged, requests)
                await self._notify_other_nodes(connection, judged, requests)
        except DatabaseUnavailable as error:
            if sent_anything:
                return await self._look_up(requests)
            now = self._clock.monotonic_seconds()
            return [NOT_NOW if now < request.give_up_at else error for request in requests]
        for row in judged:
            answers[row.ordinal] = _answer(row, requests[row.ordinal])
        self._wake_own(judged, requests)
        return [
            answers[n] if n in answers else await self._deferred(request)
            for n, request in enumerate(requests)
        ]

    async def _lock(
        self, connection: AsyncConnection, requests: list[_Request]
    ) -> dict[int, _Request]:
        """The requests whose line is ours now, and of each key only the first."""
        cursor = await connection.execute(
            _LOCK_LINES, {"instance_ids": list({r.instance.id for r in requests})}
        )
        locked = {instance_id for (instance_id,) in await cursor.fetchall()}
        keys: set[tuple[str, str]] = set()
        chosen = {}
        for n, request in enumerate(requests):
            if request.instance.id not in locked:
                continue
            if request.idempotency:
                key = (request.instance.id, request.idempotency.key)
                if key in keys:
                    continue
                keys.add(key)
            chosen[n] = request
        return chosen

    async def _insert(
        self, connection: AsyncConnection, chosen: dict[int, _Request]
    ) -> list[_Judged]:
        requests = chosen.values()
        return await fetch_all(
            connection,
            _Judged,
            _ENQUEUE,
            ordinals=list(chosen),
            instance_ids=[r.instance.id for r in requests],
            zaap_ids=[r.zaap_id for r in requests],
            message_ids=[r.message_id for r in requests],
            types=[r.message.kind() for r in requests],
            versions=[STORED_VERSION] * len(chosen),
            phones=[r.message.phone for r in requests],
            payloads=[r.payload for r in requests],
            priorities=[int(r.message.priority) for r in requests],
            due_ats=[r.due_at for r in requests],
            refuse_disconnected=[r.instance.disable_enqueue_when_disconnected for r in requests],
            idempotency_keys=[r.idempotency.key if r.idempotency else None for r in requests],
            body_hashes=[r.idempotency.body_hash if r.idempotency else None for r in requests],
            max_waiting=self._limits.max_waiting,
            max_waiting_disconnected=self._limits.max_waiting_disconnected,
            max_attempts=self._limits.max_attempts,
            max_age_seconds=self._limits.max_age_seconds,
        )

    async def _note_offsets(
        self, connection: AsyncConnection, judged: list[_Judged], requests: list[_Request]
    ) -> None:
        accepted = [requests[row.ordinal] for row in judged if row.verdict in ("new", "replayed")]
        for offset in sorted(
            (request.offset for request in accepted if request.offset), key=attrgetter("topic")
        ):
            await connection.execute(NOTE_OFFSET, asdict(offset))

    async def _notify_other_nodes(
        self, connection: AsyncConnection, judged: list[_Judged], requests: list[_Request]
    ) -> None:
        lines: dict[str, set[str]] = {}
        for row in judged:
            if row.wakes and row.node_id and row.node_id != self._node_id:
                lines.setdefault(row.node_id, set()).add(requests[row.ordinal].instance.id)
        notes = [
            (node_id, ",".join(ids[start : start + _IDS_IN_A_NOTIFICATION]))
            for node_id, ids in ((n, sorted(i)) for n, i in lines.items())
            for start in range(0, len(ids), _IDS_IN_A_NOTIFICATION)
        ]
        if notes:
            await connection.execute(
                _NOTIFY_NODES,
                {"node_ids": [n for n, _ in notes], "instance_ids": [i for _, i in notes]},
            )

    def _wake_own(self, judged: list[_Judged], requests: list[_Request]) -> None:
        self._wake(
            {
                requests[row.ordinal].instance.id
                for row in judged
                if row.wakes and row.node_id == self._node_id
            }
        )

    async def _look_up(self, requests: list[_Request]) -> Sequence[Queued | Exception | NotNow]:
        """The answer to the commit was lost: whoever has a row was accepted."""
        instance_ids = list({r.instance.id for r in requests})
        message_ids = [r.message_id for r in requests]
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
            stop=tenacity.stop_after_delay(_LOOK_UP_SECONDS),
            wait=tenacity.wait_exponential(0.05, max=1.0),
            reraise=True,
        ):
            with attempt:
                # Taking the lock waits for the transaction in doubt to end.
                await self._database.execute(_WAIT_FOR_LINES, instance_ids=instance_ids)
                found = await self._database.fetch_all(
                    _Id, _FIND_MESSAGE_IDS, instance_ids=instance_ids, message_ids=message_ids
                )
        accepted = {row.id for row in found}
        self._wake(instance_ids)
        return [_queued(r) if r.message_id in accepted else NOT_NOW for r in requests]

    async def _deferred(self, request: _Request) -> Exception | NotNow:
        """A line that cannot be locked for long may not exist any more."""
        request.rounds += 1
        if request.rounds % _ROUNDS_BEFORE_DOUBT == 0:
            lines = await self._database.fetch_all(
                _Id, _FIND_LINES, instance_ids=[request.instance.id]
            )
            if not lines:
                return UnknownInstance()
        return NOT_NOW


def _answer(row: _Judged, request: _Request) -> Queued | Exception:
    match row.verdict:
        case "new":
            return _queued(request)
        case "replayed":
            return Queued(
                zaap_id=row.zaap_id,
                message_id=row.message_id,
                id=row.message_id,
                scheduled_for=request.due_at,
            )
        case "key_reused":
            return IdempotencyKeyReused()
        case "not_connected":
            return InstanceNotConnected()
        case "full":
            return QueueFull(row.most, connected=row.connected)
        case _:
            raise AssertionError(f"unknown verdict {row.verdict}")


def _queued(request: _Request) -> Queued:
    return Queued(
        zaap_id=request.zaap_id,
        message_id=request.message_id,
        id=request.message_id,
        scheduled_for=request.due_at,
    )
