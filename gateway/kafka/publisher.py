"""Publishes what accounts are told, in order, at least once."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, NotFound
from gateway.kafka.connection import Brokers, find_accounts
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.wakeups import waking
from gateway.webhooks.stream import READ_EVENTS, Cursor, StreamedEvent, follow

_HOLD_ROADS = query("kafka", "hold_roads")
_MOVE_ON = query("kafka", "move_on")

_PAGE = 500
_REST_SECONDS = 1.0
_RENEW_SECONDS = 3_600.0
_SEND_SECONDS = 30.0
_HOLD_SECONDS = 2 * _SEND_SECONDS
_LARGEST_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topics:
    """Where each kind of event goes."""

    message_status: str = "whatsapp-message-status"
    instance_status: str = "whatsapp-instance-status"
    message_received: str = "whatsapp-message-received"

    def of(self, kind: str) -> str:
        if kind in ("DeliveryCallback", "MessageStatusCallback"):
            return self.message_status
        if kind in ("ConnectedCallback", "DisconnectedCallback"):
            return self.instance_status
        return self.message_received


@dataclass(frozen=True, slots=True)
class _Road:
    account_id: str
    transaction_id: int
    sequence: int


class Publisher:
    """Part of the service; of several processes one at a time publishes for an account.

    The key of a record is its instance and chat, so that each chat keeps its order; the header
    `id` is the same whenever an event is published again.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        brokers: Brokers,
        *,
        accounts: Sequence[str],
        topics: Topics,
        node_id: str,
        days: int,
        producer: Callable[[Brokers], AIOKafkaProducer] | None = None,
    ) -> None:
        self._database, self._clock, self._brokers = database, clock, brokers
        self._accounts, self._topics = accounts, topics
        self._node_id, self._days = node_id, days
        self._new_producer = producer or new_producer
        self._producer: AIOKafkaProducer | None = None
        self._wakeup = asyncio.Event()
        self._renew_at, self._ids = 0.0, list[str]()

    def wake(self) -> None:
        """Something may have been told."""
        self._wakeup.set()

    async def run_until(self, stopping: asyncio.Event) -> None:
        try:
            async with waking(self._wakeup, when=stopping):
                while not stopping.is_set():
                    self._wakeup.clear()
                    more = await self._try_round()
                    if not more:
                        await self._clock.wait(self._wakeup, _REST_SECONDS)
        finally:
            await self._drop_producer()

    async def _try_round(self) -> bool:
        try:
            return await self._round()
        except DatabaseUnavailable as error:
            logger.warning("kafka_waits_for_database", error=str(error))
        except NotFound as error:
            logger.warning("kafka_waits_for_account", error=str(error))
        except (KafkaError, TimeoutError, OSError) as error:
            # What was under way may have arrived or not: a new producer starts from the cursor.
            logger.warning("kafka_did_not_answer", error=type(error).__name__)
            await self._drop_producer()
            await self._clock.sleep(_REST_SECONDS)
        return False

    async def _round(self) -> bool:
        """Says whether there may be more."""
        now = self._clock.monotonic_seconds()
        if now >= self._renew_at:
            found = await find_accounts(self._database, self._accounts)
            self._ids = sorted(set(found.values()))
            await follow(self._database, "kafka", self._ids, days=self._days)
            self._renew_at = now + _RENEW_SECONDS
        roads = await self._database.fetch_all(
            _Road, _HOLD_ROADS, account_ids=self._ids, node_id=self._node_id, seconds=_HOLD_SECONDS
        )
        events = await self._database.fetch_all(
            StreamedEvent,
            READ_EVENTS,
            numbers=list(range(len(roads))),
            account_ids=[road.account_id for road in roads],
            transaction_ids=[road.transaction_id for road in roads],
            sequences=[road.sequence for road in roads],
            max_count=_PAGE,
        )
        if not events:
            return False
        await self._publish(events)
        last: dict[str, Cursor] = {roads[e.number].account_id: e.cursor for e in events}
        await self._database.execute(
            _MOVE_ON,
            account_ids=list(last),
            transaction_ids=[cursor.transaction_id for cursor in last.values()],
            sequences=[cursor.sequence for cursor in last.values()],
            node_id=self._node_id,
        )
        return True

    async def _publish(self, events: list[StreamedEvent]) -> None:
        async with asyncio.timeout(_SEND_SECONDS):
            if self._producer is None:
                self._producer = self._new_producer(self._brokers)
                await self._producer.start()
            in_flight = [await self._send(self._producer, event) for event in events]
            await self._producer.flush()
            for sent in in_flight:
                if sent is not None:
                    await sent

    async def _send(
        self, producer: AIOKafkaProducer, event: StreamedEvent
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
            return None  # it would never go, and the rest must
        return sent

    async def _drop_producer(self) -> None:
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(_REST_SECONDS):
                await producer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            logger.warning("kafka_did_not_answer", error=type(error).__name__)


def new_producer(brokers: Brokers) -> AIOKafkaProducer:
    """Idempotent where the brokers can: what it repeats itself arrives once, and in order."""
    return AIOKafkaProducer(
        **brokers.options(),
        acks="all",
        enable_idempotence=brokers.idempotent,
        linger_ms=5,
        max_request_size=_LARGEST_BYTES,
    )
