"""Asks the brokers from time to time: are they there, and how far behind is the consumer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.kafka.connection import Brokers, stored_offsets
from gateway.kafka.health import KafkaHealth
from gateway.observability.kafka_metrics import KafkaMetrics
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop

_PAUSE_SECONDS: Final = 15.0
_PROBE_SECONDS: Final = 10.0
_STOP_SECONDS: Final = 1.0
_PART: Final = "brokers"


@dataclass(frozen=True, slots=True)
class UsedTopics:
    """The topics from which this node takes messages, and those to which it publishes."""

    consumed: Sequence[str] = ()
    published: Sequence[str] = ()


class KafkaMonitor:
    """Updates the metrics and the health; logs the state once at the start, and each change."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        brokers: Brokers,
        *,
        topics: UsedTopics,
        metrics: KafkaMetrics,
        health: KafkaHealth,
    ) -> None:
        self._database, self._brokers, self._topics = database, brokers, topics
        self._metrics, self._health = metrics, health
        self._client: AIOKafkaConsumer | None = None
        self._logged: bool | None = None
        self._loop = PeriodicLoop("kafka_monitor", self._step, clock)
        health.failed(_PART, "not asked yet")

    async def run_until(self, stopping: asyncio.Event) -> None:
        try:
            await self._loop.run_until(stopping)
        finally:
            await self._drop_client()

    async def _step(self) -> float:
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                missing = await self._probe()
        except (KafkaError, TimeoutError, OSError) as error:
            await self._drop_client()
            self._metrics.disconnected(self._brokers.servers)
            problem = f"no answer from {self._brokers.servers} ({type(error).__name__})"
            self._health.failed(_PART, problem)
            self._log(connected=False, problem=problem)
            return _PAUSE_SECONDS
        self._metrics.connected(self._brokers.servers)
        if missing:
            self._health.failed(_PART, f"these topics do not exist: {', '.join(missing)}")
        else:
            self._health.works(_PART)
        self._log(connected=True, missing_topics=missing)
        return _PAUSE_SECONDS

    def _log(self, *, connected: bool, **fields: object) -> None:
        if connected == self._logged:
            return
        self._logged = connected
        log = logger.info if connected else logger.warning
        log(
            "kafka_state",
            enabled=True,
            connected=connected,
            servers=self._brokers.servers,
            consumed_topics=list(self._topics.consumed),
            published_topics=list(self._topics.published),
            **fields,
        )

    async def _probe(self) -> list[str]:
        """Reads the lag of the consumed topics; returns those that do not exist."""
        client = await self._connected_client()
        known = await client.topics()
        partitions = [
            TopicPartition(topic, partition)
            for topic in self._topics.consumed
            for partition in sorted(client.partitions_for_topic(topic) or ())
        ]
        ends = await client.end_offsets(partitions) if partitions else {}
        begins = await client.beginning_offsets(partitions) if partitions else {}
        stored = await stored_offsets(self._database, self._topics.consumed)
        next_offsets = {TopicPartition(row.topic, row.partition): row.next_offset for row in stored}
        self._metrics.lags(
            {
                (place.topic, place.partition): ends[place]
                - max(next_offsets.get(place, 0), begins[place])
                for place in partitions
            }
        )
        return [topic for topic in self._topics.consumed if topic not in known]

    async def _connected_client(self) -> AIOKafkaConsumer:
        if self._client is None:
            self._client = AIOKafkaConsumer(**self._brokers.options(), enable_auto_commit=False)
            await self._client.start()
        return self._client

    async def _drop_client(self) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await client.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            logger.warning("kafka_unavailable", error=type(error).__name__)
