"""Reads messages to send from topics; each of them enters the queue exactly once."""

import asyncio
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    ConsumerRecord,
    TopicPartition,
)
from aiokafka.errors import KafkaError

from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.database.pool import Database
from gateway.errors import (
    CallerError,
    DatabaseUnavailable,
    InvalidRequest,
    NotFound,
    QueueFull,
    Unavailable,
)
from gateway.instances.store import Instance, Instances
from gateway.kafka.addressing import RecordAddressing
from gateway.kafka.connection import Brokers, KafkaAccount, accounts_of_topics, stored_offsets
from gateway.kafka.health import KafkaHealth
from gateway.kafka.publisher import new_producer
from gateway.media.intake import MediaIntake
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.parsing.parser import RunsTasks
from gateway.parsing.records import ReadRecord, Record
from gateway.periodic_loop import PeriodicLoop
from gateway.send_queue.admission import Admission
from gateway.send_queue.broadcasts import is_list
from gateway.send_queue.enqueue import STORE_OFFSET, Enqueuer
from gateway.send_queue.enqueue_request import IdempotencyKey, Offset

_MAX_RECORDS = 200
_WAIT_MS = 500
_RETRY_SECONDS = 1.0
_MAX_KEY_LENGTH = 255
_PART = "consumer"


@dataclass(frozen=True, slots=True)
class Sources:
    """Which account each topic sends for, or `*`; messages in topics of *schedule* need a time."""

    send: Mapping[str, str]
    schedule: Mapping[str, str]
    refused: str
    group: str

    @property
    def accounts(self) -> dict[str, str]:
        return {**self.send, **self.schedule}


class Consumer:
    """Takes records from the topics and enqueues their messages.

    `ReadRecord` says what a record holds. The event's own `id` may be a header instead.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        brokers: Brokers,
        *,
        sources: Sources,
        instances: Instances,
        enqueuer: Enqueuer,
        admission: Admission,
        intake: MediaIntake,
        metrics: Metrics,
        parser: RunsTasks,
        health: KafkaHealth,
    ) -> None:
        self._database, self._clock, self._brokers = database, clock, brokers
        self._sources, self._health = sources, health
        self._addressing = RecordAddressing(database, instances)
        self._enqueuer, self._admission, self._intake = enqueuer, admission, intake
        self._metrics, self._parser = metrics, parser
        self._accounts: Mapping[str, KafkaAccount | None] = {}
        self._stopping = asyncio.Event()
        self._loop = PeriodicLoop("kafka_consumer", self._run, clock, retry_seconds=_RETRY_SECONDS)

    async def run_until(self, stopping: asyncio.Event) -> None:
        self._stopping = stopping
        await self._loop.run_until(stopping)

    async def _run(self) -> float:
        """Consumes until it must stop or fails; the next run begins at the stored offsets."""
        try:
            await self._consume()
        except NotFound as error:
            logger.warning("kafka_account_missing", error=str(error))
            self._health.failed(_PART, str(error))
        except (KafkaError, TimeoutError, OSError) as error:
            logger.warning("kafka_unavailable", error=type(error).__name__)
            self._health.failed(_PART, f"it cannot consume ({type(error).__name__})")
        return _RETRY_SECONDS

    async def _consume(self) -> None:
        """Returns when stopping."""
        named = self._sources.accounts
        self._accounts = await accounts_of_topics(self._database, named)
        consumer = AIOKafkaConsumer(
            **self._brokers.options(),
            group_id=self._sources.group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        producer = new_producer(self._brokers)
        consumer.subscribe(list(named), listener=_SeekToStored(self._database, consumer))
        try:
            await producer.start()
            await consumer.start()
            self._health.works(_PART)
            while not self._stopping.is_set():
                records = await consumer.getmany(timeout_ms=_WAIT_MS, max_records=_MAX_RECORDS)
                async with asyncio.TaskGroup() as group:
                    for partition in records.values():
                        group.create_task(self._enqueue_in_order(partition, producer))
        except BaseExceptionGroup as errors:
            # Not `except*`: before Python 3.11.4 it puts errors raised in it into another group.
            _, others = errors.split((KafkaError, OSError, DatabaseUnavailable))
            if others is None:
                raise _first(errors) from None
            raise
        finally:
            await consumer.stop()
            await producer.stop()

    async def _enqueue_in_order(
        self, records: list[ConsumerRecord], producer: AIOKafkaProducer
    ) -> None:
        for record in records:
            if self._stopping.is_set():
                return
            try:
                await self._enqueue(record)
            except CallerError as error:
                await self._refuse(record, error, producer)

    async def _enqueue(self, record: ConsumerRecord) -> None:
        """Returns when the message and the offset are committed.

        Raises:
            CallerError: the record can never be accepted.
        """
        while not self._stopping.is_set():
            try:
                await self._enqueue_once(record)
            except (QueueFull, Unavailable) as error:
                origin = _origin(record)
                logger.warning("kafka_record_postponed", origin=origin, error=str(error))
                self._metrics.kafka.postponed(record.topic)
                await self._clock.wait(self._stopping, _RETRY_SECONDS)
            else:
                return

    async def _enqueue_once(self, record: ConsumerRecord) -> None:
        account = self._accounts[record.topic]
        owner = account.id if account else record.topic
        event = await self._parser.run(ReadRecord(record.value or b""), owner=owner)
        instance = await self._addressing.instance(account, event.address)
        message = self._due_message(record, event)
        self._admission.check(instance, message)
        if is_list(message):
            raise InvalidRequest("message.phone: a broadcast list is sent to over HTTP only")
        await self._enqueuer.enqueue(
            instance,
            await self._with_stored_files(instance, message),
            idempotency=_key(record, event),
            offset=_offset(record),
        )
        self._metrics.queued(message.kind(), instance.id)
        self._metrics.kafka.taken(record.topic)

    def _due_message(self, record: ConsumerRecord, event: Record) -> OutgoingMessage:
        """Returns the message; without its time, if that passed while the record waited.

        Raises:
            InvalidRequest: it cannot be sent.
        """
        message = event.message
        if isinstance(message, InvalidRequest):
            raise message
        if record.topic in self._sources.schedule and message.scheduled_for is None:
            # A flat record has the field beside the message, an envelope inside of it.
            place = "scheduledFor" if event.is_flat else "message.scheduledFor"
            raise InvalidRequest(f"{place}: is required in this topic")
        if message.scheduled_for is None or message.scheduled_for > self._clock.now():
            return message
        made_at = event.made_at or _published_at(record)
        if made_at is None or made_at >= message.scheduled_for:
            return message  # which admission refuses
        return message.model_copy(update={"scheduled_for": None})

    async def _with_stored_files(
        self, instance: Instance, message: OutgoingMessage
    ) -> OutgoingMessage:
        """Stores files that came as bytes; the queue has references only, as for HTTP."""
        if not message.carries_media:
            return message
        async with self._intake.spool.folder_on_demand() as folder:
            return await self._intake.store_files(
                instance.account_id, instance.id, message, {}, folder
            )

    async def _refuse(
        self, record: ConsumerRecord, error: CallerError, producer: AIOKafkaProducer
    ) -> None:
        """Publishes the record unchanged to the topic of refused ones, with a header `error`."""
        origin = _origin(record)
        logger.warning("kafka_record_refused", origin=origin, reason=str(error))
        await producer.send_and_wait(
            self._sources.refused,
            record.value,
            key=record.key,
            headers=[*record.headers, ("error", str(error).encode()), ("origin", origin.encode())],
        )
        await self._database.execute(STORE_OFFSET, **asdict(_offset(record)))
        self._metrics.kafka.refused(record.topic)


class _SeekToStored(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka ships no types
    """Begins each partition after the last record that the database has committed."""

    def __init__(self, database: Database, consumer: AIOKafkaConsumer) -> None:
        self._database, self._consumer = database, consumer

    async def on_partitions_revoked(self, revoked: list[TopicPartition]) -> None:
        """Does nothing: a record that is consumed again is recognised by its idempotency key."""

    async def on_partitions_assigned(self, assigned: list[TopicPartition]) -> None:
        for row in await stored_offsets(self._database, list({p.topic for p in assigned})):
            partition = TopicPartition(row.topic, row.partition)
            if partition in assigned:
                self._consumer.seek(partition, row.next_offset)


def _origin(record: ConsumerRecord) -> str:
    return f"{record.topic}:{record.partition}:{record.offset}"


def _published_at(record: ConsumerRecord) -> datetime | None:
    """Returns when the record was published, if the brokers say so."""
    if record.timestamp is None or record.timestamp <= 0:
        return None
    return datetime.fromtimestamp(record.timestamp / 1000, UTC)


def _key(record: ConsumerRecord, event: Record) -> IdempotencyKey:
    """Returns the event's own id as the key, or its place in the topic if it has none."""
    headers = {name.lower(): value for name, value in record.headers}
    own = headers.get("id", b"").decode("utf-8", "replace") or event.own_id
    if "\x00" in own or len(own) > _MAX_KEY_LENGTH:
        raise InvalidRequest(f"id: must be at most {_MAX_KEY_LENGTH} characters")
    return IdempotencyKey(own or _origin(record), event.digest)


def _offset(record: ConsumerRecord) -> Offset:
    return Offset(record.topic, record.partition, record.offset + 1)


def _first(errors: BaseExceptionGroup[BaseException]) -> Exception:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Exception)
    return error
