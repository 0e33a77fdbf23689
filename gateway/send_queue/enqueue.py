"""Writes validated messages as rows of the queue, one statement for all that arrive at one time."""

import asyncio
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from operator import attrgetter
from typing import Final

import tenacity
from psycopg import AsyncConnection, DataError, IntegrityError, OperationalError

from gateway.batching import NEXT_FLUSH, Batch, NextFlush
from gateway.clock import Clock
from gateway.contract.send import STORED_VERSION, OutgoingMessage, Queued
from gateway.database.deadlines import caller_seconds, patience
from gateway.database.pool import Database, fetch_all
from gateway.database.queries import query
from gateway.errors import (
    DatabaseUnavailable,
    Forbidden,
    UnknownInstance,
)
from gateway.identities.people import names_of
from gateway.instances.store import Instance
from gateway.observability.traffic import TrafficCounts
from gateway.randomness import RandomBytes
from gateway.send_queue.enqueue_request import (
    AdmissionResult,
    EnqueueRequest,
    IdempotencyKey,
    Offset,
    answer_of,
    first_of_each_key,
    queued_from,
)
from gateway.send_queue.ids import message_id_of, new_zaap_id
from gateway.send_queue.unknown_messages import require_known

_ENQUEUE = query("send_queue", "enqueue")
_ABANDON_FLUSH = query("send_queue", "abandon_flush")
_LOCK_QUEUES = query("send_queue", "lock_queues")
_FIND_MESSAGE_IDS = query("send_queue", "find_message_ids")
_FIND_QUEUES = query("send_queue", "find_queues")
_OPTED_OUT = query("people", "opted_out")

STORE_OFFSET: Final = query("send_queue", "store_offset")

# Of a statement's deadline: the rest of the caller's patience is for the look-up.
_FLUSH_SHARE = 0.6
_REFUSED_PAUSE_SECONDS = 0.25
_MIN_LOOK_UP_SECONDS = 0.5
_FLUSHES_UNTIL_CHECK = 50
_GATHERED = 32  # with 64, 4 % cheaper, but p99 a third higher: an account has one flush at a time
_FEW = 4  # beside others an account has two messages in work at a time
_MAX_FLUSHES = 2  # of different accounts: none waits for the statement with messages of another
_Answers = Sequence[Queued | Exception | NextFlush]
_ACCEPTED = "accepted"
_STORED = (_ACCEPTED, "replayed")  # admission results of messages that the queue has


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """How many messages may wait (0: any number), for how long, and how many attempts each has."""

    max_waiting: int
    max_waiting_disconnected: int
    max_attempts: int
    max_age_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class _OptedOut:
    phone: str


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


def _do_nothing() -> None:
    pass


def _expire(answer: asyncio.Future[Queued], seconds: float) -> None:
    if not answer.done():
        answer.set_exception(
            DatabaseUnavailable(f"Postgres did not accept the message within {seconds:.3g} seconds")
        )


class Enqueuer:
    """Accepts messages into the queue; every message enters through it."""

    def __init__(
        self,
        database: Database,
        *,
        node_id: str,
        limits: QueueLimits,
        clock: Clock,
        random_bytes: RandomBytes,
        wake: Callable[[Collection[str]], None],
        wake_schedule: Callable[[], None] = _do_nothing,
        new_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
        traffic: TrafficCounts | None = None,
        is_shared: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database, self._node_id, self._limits = database, node_id, limits
        self._clock, self._random_bytes, self._wake = clock, random_bytes, wake
        self._wake_schedule = wake_schedule
        self._new_uuid = new_uuid
        self._traffic = traffic or TrafficCounts(clock)
        self._flush_database = database.within(_FLUSH_SHARE * database.statement_seconds)
        self._is_shared, self._flushed = is_shared, 0
        self._batch = Batch[EnqueueRequest, Queued](
            self._flush,
            gathers=self._wanted,
            max_flushes=_MAX_FLUSHES,
            source_of=lambda request: request.instance.account_id,
        )

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._batch.run_until(stopping)

    def _wanted(self) -> int:
        """Returns how many messages a flush waits for.

        While few accounts share the node, none waits for messages of others.
        """
        return 0 if self._flushed <= _FEW and self._is_shared() else _GATHERED

    async def enqueue(
        self,
        instance: Instance,
        message: OutgoingMessage,
        *,
        idempotency: IdempotencyKey | None = None,
        offset: Offset | None = None,
    ) -> Queued:
        """Returns when the message is committed, together with *offset*.

        Raises:
            QueueFull: the queue has as many messages as it may.
            InstanceNotConnected: the instance refuses sends while it is disconnected.
            IdempotencyKeyReused: the key came before with another body.
            UnknownInstance: the instance was deleted meanwhile.
            InvalidRequest: it needs an earlier message that the instance does not have.
            Forbidden: the recipient opted out, and the account refuses such sends.
            DatabaseUnavailable: the message was not accepted, or Postgres cannot say if it was.
        """
        if instance.refuse_opted_out:
            await self._require_consent(instance, message.phone)
        await require_known(self._database, instance.id, message)
        zaap_id = new_zaap_id(self._random_bytes)
        seconds = self._patience_seconds()
        request = EnqueueRequest(
            instance=instance,
            message=message,
            payload=message.model_dump_json(exclude_none=True),
            zaap_id=zaap_id,
            message_id=message_id_of(zaap_id),
            due_at=message.scheduled_for,
            idempotency=idempotency,
            offset=offset,
            give_up_at=self._clock.monotonic_seconds() + seconds,
        )
        answer = self._batch.submit(request)
        # A flush before this request's own may take all of its time.
        expiry = asyncio.get_running_loop().call_later(seconds, _expire, answer, seconds)
        try:
            return await answer
        finally:
            expiry.cancel()
            del answer  # an error in it refers to this frame, which would refer to it

    def _patience_seconds(self) -> float:
        caller, seconds = patience(), caller_seconds(self._database.statement_seconds)
        return min(caller.seconds_left, seconds) if caller else seconds

    async def _require_consent(self, instance: Instance, phone: str) -> None:
        names = await names_of(self._database, instance.id, phone)
        if await self._database.fetch_all(
            _OptedOut, _OPTED_OUT, instance_id=instance.id, names=names.every
        ):
            raise Forbidden("phone: this person has opted out of messages from this account")

    async def _flush(self, requests: list[EnqueueRequest]) -> _Answers:
        self._flushed = len(requests)
        try:
            return await self._write(requests)
        except (DataError, IntegrityError) as error:
            return await self._bisect(requests, error)
        except OperationalError:  # a lost race, see driver_errors_translated
            return [NEXT_FLUSH] * len(requests)

    async def _bisect(self, requests: list[EnqueueRequest], error: Exception) -> _Answers:
        """Splits the batch until the row that Postgres refuses fails alone."""
        if len(requests) == 1:
            return [error]
        middle = len(requests) // 2
        return [*await self._flush(requests[:middle]), *await self._flush(requests[middle:])]

    async def _write(self, requests: list[EnqueueRequest]) -> _Answers:
        results, is_sent = list[AdmissionResult](), False
        flush_id = self._new_uuid()
        try:
            async with self._flush_database.connection() as connection:
                is_sent = True
                results = await self._insert(connection, flush_id, requests)
        except DatabaseUnavailable as error:
            if is_sent and not error.refused:
                return await self._look_up(flush_id, requests)
            return await self._retry_later(requests, error)
        answers = {row.ordinal: answer_of(row, requests[row.ordinal]) for row in results}
        for row in results:
            if row.admission == _ACCEPTED:
                self._traffic.accepted(requests[row.ordinal].instance.id)
        self._wake_local_workers(results, requests)
        return [
            answers[n] if n in answers else await self._retry_locked(request)
            for n, request in enumerate(requests)
        ]

    async def _retry_later(
        self, requests: list[EnqueueRequest], error: DatabaseUnavailable
    ) -> Sequence[Exception | NextFlush]:
        """Nothing was accepted: requests that can still wait join the next flush."""
        if error.refused:  # a refusal comes at once; without a pause this would spin
            await self._clock.sleep(_REFUSED_PAUSE_SECONDS)
        now = self._clock.monotonic_seconds()
        return [NEXT_FLUSH if now < request.give_up_at else error for request in requests]

    async def _insert(
        self, connection: AsyncConnection, flush_id: uuid.UUID, requests: list[EnqueueRequest]
    ) -> list[AdmissionResult]:
        if not any(request.offset for request in requests):
            return await self._admit(connection, flush_id, requests)
        async with connection.transaction():
            results = await self._admit(connection, flush_id, requests)
            await self._store_offsets(connection, results, requests)
        return results

    async def _admit(
        self, connection: AsyncConnection, flush_id: uuid.UUID, requests: list[EnqueueRequest]
    ) -> list[AdmissionResult]:
        chosen = first_of_each_key(requests)
        rows = chosen.values()
        return await fetch_all(
            connection,
            AdmissionResult,
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
            expires_ats=[r.message.expires_at for r in rows],
            expires_ins=[r.message.expires_in for r in rows],
            refuse_disconnected=[r.instance.disable_enqueue_when_disconnected for r in rows],
            idempotency_keys=[r.idempotency and r.idempotency.key for r in rows],
            body_hashes=[r.idempotency and r.idempotency.body_hash for r in rows],
            max_waiting=self._limits.max_waiting,
            max_waiting_disconnected=self._limits.max_waiting_disconnected,
            max_attempts=self._limits.max_attempts,
            max_age_seconds=self._limits.max_age_seconds,
        )

    async def _store_offsets(
        self,
        connection: AsyncConnection,
        results: list[AdmissionResult],
        requests: list[EnqueueRequest],
    ) -> None:
        accepted = [requests[row.ordinal] for row in results if row.admission in _STORED]
        for offset in sorted(
            (request.offset for request in accepted if request.offset), key=attrgetter("topic")
        ):
            await connection.execute(STORE_OFFSET, asdict(offset))

    def _wake_local_workers(
        self, results: list[AdmissionResult], requests: list[EnqueueRequest]
    ) -> None:
        woken = [
            requests[row.ordinal]
            for row in results
            if row.wakes_worker and row.holder_node_id == self._node_id
        ]
        self._wake({request.instance.id for request in woken})
        if any(request.due_at for request in woken):
            self._wake_schedule()

    async def _look_up(self, flush_id: uuid.UUID, requests: list[EnqueueRequest]) -> _Answers:
        """The answer was lost: finds out which messages were accepted.

        Abandons the flush first, so that its statement writes nothing if it arrives later. Tries
        as long as a request waits.
        """
        seconds = self._look_up_seconds(requests)
        instance_ids = list({r.instance.id for r in requests})
        message_ids = [r.message_id for r in requests]
        async for attempt in tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception_type(DatabaseUnavailable),
            stop=tenacity.stop_after_delay(seconds),
            wait=tenacity.wait_exponential(0.05, max=1.0),
            reraise=True,
        ):
            with attempt:
                async with self._database.within(seconds).connection() as connection:
                    await connection.execute(_ABANDON_FLUSH, {"flush_id": flush_id})
                    # The lock waits until the transaction in doubt has ended.
                    await connection.execute(_LOCK_QUEUES, {"instance_ids": instance_ids})
                    found = await fetch_all(
                        connection,
                        _Id,
                        _FIND_MESSAGE_IDS,
                        instance_ids=instance_ids,
                        message_ids=message_ids,
                    )
        accepted = {row.id for row in found}
        for request in requests:
            if request.message_id in accepted:
                self._traffic.accepted(request.instance.id)
        self._wake(instance_ids)
        self._wake_schedule()
        return [
            queued_from(r, r.due_at) if r.message_id in accepted else NEXT_FLUSH for r in requests
        ]

    def _look_up_seconds(self, requests: list[EnqueueRequest]) -> float:
        now = self._clock.monotonic_seconds()
        left = max(request.give_up_at for request in requests) - now
        return max(_MIN_LOOK_UP_SECONDS, left)

    async def _retry_locked(self, request: EnqueueRequest) -> Exception | NextFlush:
        """Another transaction locked the queue; now and then checks that the queue still exists."""
        request.flushes += 1
        if request.flushes % _FLUSHES_UNTIL_CHECK == 0:
            queues = await self._database.fetch_all(
                _Id, _FIND_QUEUES, instance_ids=[request.instance.id]
            )
            if not queues:
                return UnknownInstance()
        return NEXT_FLUSH
