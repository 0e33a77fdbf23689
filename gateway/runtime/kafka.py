"""Builds the parts for Kafka; imports its library, an extra, only where Kafka is configured."""

from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.errors import InvalidSettings
from gateway.runtime.node_context import NodeContext
from gateway.send_queue.admission import Admission
from gateway.send_queue.enqueue import Enqueuer
from gateway.settings.event_sections import KafkaSection
from gateway.webhooks.event_log import EventLog

if TYPE_CHECKING:
    from gateway.kafka.connection import Brokers
    from gateway.kafka.consumer import Consumer
    from gateway.kafka.publisher import Publisher


def publisher_of(
    kafka: KafkaSection, database: Database, log: EventLog, clock: Clock, node_id: str
) -> "Publisher | None":
    """Returns the publisher of events, or None where no account publishes to Kafka."""
    brokers = _brokers(kafka)
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
    )


def consumer_of(
    node: NodeContext, kafka: KafkaSection, enqueuer: Enqueuer, admission: Admission
) -> "Consumer | None":
    """Returns the consumer of messages to send, or None where no topic is consumed."""
    brokers = _brokers(kafka)
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
    )


def _brokers(kafka: KafkaSection) -> "Brokers | None":
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
