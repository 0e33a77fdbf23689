"""Publishes accounts' events to Kafka, in order, at least once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.errors import NotFound
from gateway.kafka.connection import Brokers, find_accounts
from gateway.kafka.health import KafkaHealth
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.webhooks.event_consumer import EventConsumer, SinkUnavailable
from gateway.webhooks.event_log import CONSUMER_LEASE_SECONDS, EventLog, LoggedEvent

_PART, _ACCOUNTS_PART = "publisher", "publisher accounts"
_STOP_SECONDS = 1.0
_PUBLISH_SECONDS = CONSUMER_LEASE_SECONDS / 2
_MAX_RECORD_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topics:
    """The topic of each kind of event."""

    message_status: str = "whatsapp-message-status"
    instance_status: str = "whatsapp-instance-status"
    message_received: str = "whatsapp-message-received"

    def of(self, kind: str) -> str:
        if kind in ("DeliveryCallback", "MessageStatusCallback"):
            return self.message_status
        if kind in ("ConnectedCallback", "DisconnectedCallback"):
            return self.instance_status
        return self.message_received


class Publisher:
    """The consumer of the event log whose sink is Kafka.

    The key of a record is its instance and chat, so that each chat keeps its order. The header
    `id` stays the same when an event is published again.
    """

    def __init__(
        self,
        database: Database,
        log: EventLog,
        clock: Clock,
        brokers: Brokers,
        *,
        accounts: Sequence[str],
        topics: Topics,
        node_id: str,
        health: KafkaHealth,
        producer: Callable[[Brokers], AIOKafkaProducer] | None = None,
    ) -> None:
        """Prepares the publisher; *accounts* are ids or names."""
        self._database, self._brokers, self._health = database, brokers, health
        self._accounts, self._topics = accounts, topics
        self._new_producer = producer or new_producer
        self._producer: AIOKafkaProducer | None = None
        self._consumer = EventConsumer(
            "kafka", log, self._publish, clock, accounts=self._find_accounts, node_id=node_id
        )

    def wake(self) -> None:
        """Publishes soon: events may have been written."""
        self._consumer.wake()

    async def run_until(self, stopping: asyncio.Event) -> None:
        try:
            await self._consumer.run_until(stopping)
        finally:
            await self._drop_producer()

    async def _find_accounts(self) -> Sequence[str]:
        try:
            ids = list((await find_accounts(self._database, self._accounts)).values())
        except NotFound as error:
            logger.warning("kafka_account_missing", error=str(error))
            self._health.failed(_ACCOUNTS_PART, str(error))
            raise SinkUnavailable from None
        self._health.works(_ACCOUNTS_PART)
        return ids

    async def _publish(self, events: Sequence[LoggedEvent]) -> None:
        """Returns when the brokers have acknowledged every event."""
        try:
            await self._try_publish(events)
        except (KafkaError, TimeoutError, OSError) as error:
            # Records without an answer may have arrived; a new producer sends all events again.
            logger.warning("kafka_unavailable", error=type(error).__name__)
            self._health.failed(_PART, f"it cannot publish ({type(error).__name__})")
            await self._drop_producer()
            raise SinkUnavailable from error

    async def _try_publish(self, events: Sequence[LoggedEvent]) -> None:
        async with asyncio.timeout(_PUBLISH_SECONDS):
            if self._producer is None:
                self._producer = self._new_producer(self._brokers)
                await self._producer.start()
            in_flight = [await self._send(self._producer, event) for event in events]
            await self._producer.flush()
            for sent in in_flight:
                if sent is not None:
                    await sent
            self._health.works(_PART)

    async def _send(
        self, producer: AIOKafkaProducer, event: LoggedEvent
    ) -> "asyncio.Future[object] | None":
        try:
            sent: asyncio.Future[object] = await producer.send(
                self._topics.of(event.type),
                event.body.encode(),
                key=f"{event.instance_id}:{event.chat}".encode(),
                headers=[("id", str(event.id).encode()), ("type", event.type.encode())],
            )
        except MessageSizeTooLargeError as error:
            report_error(error, component="kafka", instance_id=event.instance_id)
            return None  # it can never be published, and must not block later events
        return sent

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await producer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            logger.warning("kafka_unavailable", error=type(error).__name__)


def new_producer(brokers: Brokers) -> AIOKafkaProducer:
    """Returns a producer; if idempotent, its own retries arrive once and in order."""
    return AIOKafkaProducer(
        **brokers.options(),
        acks="all",
        enable_idempotence=brokers.idempotent,
        linger_ms=5,
        max_request_size=_MAX_RECORD_BYTES,
    )
