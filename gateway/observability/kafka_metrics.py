"""The metrics of Kafka; they have samples only where Kafka is configured."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge

_MAX_PARTITIONS: Final = 64
"""Partitions of a topic with a label of their own; the others are shown as their sum."""
_OTHERS: Final = "others"


class KafkaMetrics:
    """The connection, how far behind the consumer is, and what became of its records."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._connected = Gauge(
            "kafka_connected", "Whether the brokers answer.", ("servers",), registry=registry
        )
        self._lag = Gauge(
            "kafka_consumer_lag",
            "Records of consumed topics that no node has accepted or refused yet.",
            ("topic", "partition"),
            registry=registry,
        )
        self._records = Counter(
            "kafka_records_total",
            "Records of consumed topics, by outcome.",
            ("topic", "outcome"),
            registry=registry,
        )

    def connected(self, servers: str) -> None:
        self._connected.labels(servers).set(1)

    def disconnected(self, servers: str) -> None:
        """Shows no lag until the brokers answer again: an old one would be wrong."""
        self._connected.labels(servers).set(0)
        self._lag.clear()

    def lags(self, by_partition: Mapping[tuple[str, int], int]) -> None:
        """Shows the number of records that wait, by topic and partition."""
        shown: dict[tuple[str, str], int] = {}
        for (topic, partition), lag in by_partition.items():
            label = str(partition) if partition < _MAX_PARTITIONS else _OTHERS
            shown[topic, label] = shown.get((topic, label), 0) + max(0, lag)
        self._lag.clear()
        for (topic, label), lag in shown.items():
            self._lag.labels(topic, label).set(lag)

    def taken(self, topic: str) -> None:
        self._records.labels(topic, "taken").inc()

    def refused(self, topic: str) -> None:
        self._records.labels(topic, "refused").inc()

    def postponed(self, topic: str) -> None:
        self._records.labels(topic, "postponed").inc()
