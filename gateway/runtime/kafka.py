"""Builds the parts for Kafka; imports its library, an extra, only where Kafka is configured."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gateway.api.health import Check
from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.errors import InvalidSettings
from gateway.kafka.health import KafkaHealth
from gateway.observability.logging import logger
from gateway.runtime.node_context import NodeContext
from gateway.runtime.supervisor import Stage
from gateway.send_queue.admission import Admission
from gateway.send_queue.enqueue import Enqueuer
from gateway.settings.event_sections import KafkaSection
from gateway.webhooks.event_log import EventLog

if TYPE_CHECKING:
    from gateway.kafka.connection import Brokers
    from gateway.kafka.consumer import Consumer
    from gateway.kafka.monitor import KafkaMonitor
    from gateway.kafka.publisher import Publisher


def publisher_of(
    kafka: KafkaSection,
    database: Database,
    log: EventLog,
    clock: Clock,
    *,
    node_id: str,
    health: KafkaHealth,
) -> "Publisher | None":
    """Returns the publisher of events, or None where no account publishes to Kafka."""
    brokers = brokers_of(kafka)
    if brokers is None or not kafka.accounts:
        return None
    from gateway.kafka.publisher import Publisher, Topics  # noqa: PLC0415 - an extra

    return Publisher(
        database,
        log,
        clock,
        brokers,
        accounts=kafka.accounts,
        topics=Topics(
            kafka.topic_message_status,
            kafka.topic_instance_status,
            kafka.topic_message_received,
        ),
        node_id=node_id,
        health=health,
    )


def consumer_of(
    node: NodeContext,
    kafka: KafkaSection,
    enqueuer: Enqueuer,
    admission: Admission,
    health: KafkaHealth,
) -> "Consumer | None":
    """Returns the consumer of messages to send, or None where no topic is consumed."""
    brokers = brokers_of(kafka)
    if brokers is None or not (kafka.send or kafka.schedule):
        return None
    from gateway.kafka.consumer import Consumer, Sources  # noqa: PLC0415 - an extra

    return Consumer(
        node.database,
        node.clock,
        brokers,
        sources=Sources(kafka.send, kafka.schedule, kafka.topic_refused, kafka.group),
        instances=node.instances,
        enqueuer=enqueuer,
        admission=admission,
        intake=node.media.intake,
        metrics=node.metrics,
        parser=node.parser,
        health=health,
    )


def start_kafka_monitor(
    node: NodeContext, kafka: KafkaSection, health: KafkaHealth
) -> Mapping[str, Check]:
    """Starts what watches the brokers where this node uses them, and logs whether Kafka is on.

    Returns the check of /ready; none where this node does not use Kafka.
    """
    consumed = [*kafka.send, *kafka.schedule] if node.role.sends else []
    published = kafka.published_topics() if node.role.posts and kafka.accounts else []
    brokers = brokers_of(kafka) if consumed or published else None
    if brokers is None:
        # One that is configured without a topic or an account does nothing, as one that is off.
        logger.info("kafka_state", enabled=False, configured=kafka.servers is not None)
        return {}
    monitor = _monitor_of(node, brokers, consumed, published, health)
    node.start(Stage.SENDERS, kafka_monitor=monitor)
    return {"kafka": health.problem}


def _monitor_of(
    node: NodeContext,
    brokers: "Brokers",
    consumed: Sequence[str],
    published: Sequence[str],
    health: KafkaHealth,
) -> "KafkaMonitor":
    from gateway.kafka.monitor import KafkaMonitor, UsedTopics  # noqa: PLC0415 - an extra

    return KafkaMonitor(
        node.database,
        node.clock,
        brokers,
        topics=UsedTopics(consumed, published),
        metrics=node.metrics.kafka,
        health=health,
    )


def brokers_of(kafka: KafkaSection) -> "Brokers | None":
    """Returns how to connect; None where Kafka is off.

    Raises:
        InvalidSettings: its library is not installed.
    """
    if kafka.servers is None:
        return None
    try:
        import aiokafka  # noqa: F401, PLC0415 - an extra
    except ImportError:
        raise InvalidSettings(
            "GATEWAY_KAFKA_SERVERS needs the extra `kafka`: pip install 'gateway[kafka]'"
        ) from None
    from gateway.kafka.connection import Brokers  # noqa: PLC0415 - an extra

    return Brokers(
        kafka.servers,
        kafka.security,
        kafka.mechanism,
        kafka.username,
        kafka.password,
        idempotent=kafka.idempotent,
    )
