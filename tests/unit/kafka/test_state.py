"""The state of Kafka is named for the operator, with labels of a bounded number."""

import asyncio
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from gateway.clock import Clock
from gateway.kafka.connection import Brokers
from gateway.kafka.health import KafkaHealth
from gateway.kafka.monitor import KafkaMonitor, UsedTopics
from gateway.observability.kafka_metrics import KafkaMetrics
from gateway.runtime.kafka_check import kafka_finding
from gateway.settings.event_sections import KafkaSection

NO_HOST = "127.0.0.1:1"


def section(**fields: Any) -> KafkaSection:
    return KafkaSection(
        **{f"GATEWAY_KAFKA_{name.upper()}": value for name, value in fields.items()}
    )


async def test_monitor_of_silent_brokers_names_them() -> None:
    stopping, health, registry = asyncio.Event(), KafkaHealth(), CollectorRegistry()

    class Stopping(KafkaMetrics):
        def disconnected(self, servers: str) -> None:
            super().disconnected(servers)
            stopping.set()

    await KafkaMonitor(
        cast("Any", None),
        Clock(),
        Brokers(NO_HOST),
        topics=UsedTopics(("whatsapp-send-message",)),
        metrics=Stopping(registry),
        health=health,
    ).run_until(stopping)

    assert await health.problem() == f"brokers: no answer from {NO_HOST} (KafkaConnectionError)"
    assert f'kafka_connected{{servers="{NO_HOST}"}} 0.0' in generate_latest(registry).decode()


async def test_health_names_each_part_until_it_works() -> None:
    health = KafkaHealth()
    health.failed("publisher", "it cannot publish")
    health.failed("consumer", "no account")
    assert await health.problem() == "consumer: no account; publisher: it cannot publish"

    health.works("consumer")
    health.works("publisher")
    assert await health.problem() is None


def test_lag_has_a_bounded_number_of_labels() -> None:
    registry = CollectorRegistry()
    metrics = KafkaMetrics(registry)

    metrics.lags({("topic", partition): 2 for partition in range(100)})
    page = generate_latest(registry).decode()

    assert page.count("kafka_consumer_lag{") == 65
    assert 'kafka_consumer_lag{partition="others",topic="topic"} 72.0' in page
    metrics.disconnected(NO_HOST)
    assert "kafka_consumer_lag{" not in generate_latest(registry).decode()


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({}, "ok Kafka: it is off, because GATEWAY_KAFKA_SERVERS is not set."),
        (
            {"servers": NO_HOST},
            "!! Kafka: GATEWAY_KAFKA_SERVERS is set, but nothing is published",
        ),
        (
            {"servers": NO_HOST, "accounts": "acme"},
            f"!! Kafka: {NO_HOST} does not answer (KafkaConnectionError). Cure: start the brokers",
        ),
    ],
)
async def test_doctor_says_whether_kafka_can_be_used(fields: dict[str, str], found: str) -> None:
    assert str(await kafka_finding(section(**fields))).startswith(found)
