"""Kafka's parts, where settings ask for them; the extra is imported only then."""

from typing import TYPE_CHECKING

from gateway.clock import Clock
from gateway.database.pool import Database
from gateway.errors import InvalidSettings
from gateway.instances.store import Instances
from gateway.media.intake import MediaIntake
from gateway.observability.metrics import Metrics
from gateway.send_queue.admission import Admission
from gateway.send_queue.enqueue import Enqueuer
from gateway.settings import Settings
from gateway.webhooks.event_log import EventLog

if TYPE_CHECKING:
    from gateway.kafka.connection import Brokers
    from gateway.kafka.consumer import Consumer
    from gateway.kafka.publisher import Publisher


def publisher_of(
    settings: Settings, database: Database, log: EventLog, clock: Clock, node_id: str
) -> "Publisher | None":
    """None where no account's events go to Kafka."""
    brokers = _brokers(settings)
    if brokers is None or not settings.kafka_accounts:
        return None
    from gateway.kafka.publisher import Publisher, Topics  # noqa: PLC0415 - an extra

    return Publisher(
        database,
        log,
        clock,
        brokers,
        accounts=settings.kafka_accounts,
        topics=Topics(
            settings.kafka_topic_message_status,
            settings.kafka_topic_instance_status,
            settings.kafka_topic_message_received,
        ),
        node_id=node_id,
    )


def consumer_of(
    settings: Settings,
    database: Database,
    clock: Clock,
    *,
    instances: Instances,
    enqueuer: Enqueuer,
    intake: MediaIntake,
    metrics: Metrics,
) -> "Consumer | None":
    """None where nothing is taken from topics."""
    brokers = _brokers(settings)
    if brokers is None or not (settings.kafka_send or settings.kafka_schedule):
        return None
    from gateway.kafka.consumer import Consumer, Sources  # noqa: PLC0415 - an extra

    return Consumer(
        database,
        clock,
        brokers,
        sources=Sources(
            settings.kafka_send,
            settings.kafka_schedule,
            settings.kafka_topic_refused,
            settings.kafka_group,
        ),
        instances=instances,
        enqueuer=enqueuer,
        admission=Admission(clock, trials=settings.trials),
        intake=intake,
        metrics=metrics,
    )


def _brokers(settings: Settings) -> "Brokers | None":
    if settings.kafka_servers is None:
        return None
    try:
        import aiokafka  # noqa: F401, PLC0415 - an extra
    except ImportError:
        raise InvalidSettings(
            "GATEWAY_KAFKA_SERVERS needs the extra `kafka`: pip install 'gateway[kafka]'"
        ) from None
    from gateway.kafka.connection import Brokers  # noqa: PLC0415 - it would be unused without

    return Brokers(
        settings.kafka_servers,
        settings.kafka_security,
        settings.kafka_mechanism,
        settings.kafka_username,
        settings.kafka_password,
        idempotent=settings.kafka_idempotent,
    )
