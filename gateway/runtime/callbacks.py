"""Builds the delivery of callbacks: webhooks, the event stream and Kafka."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.database.notifications import RemoteNotifier
from gateway.kafka.health import KafkaHealth
from gateway.runtime.kafka import publisher_of
from gateway.runtime.node_context import NodeContext
from gateway.runtime.supervisor import Stage
from gateway.settings.event_sections import KafkaSection, WebhookSection
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.circuit_breakers import BreakerLimits, CircuitBreakers
from gateway.webhooks.delivery import Delivery, DeliveryLimits
from gateway.webhooks.delivery_recorder import DeliveryRecorder
from gateway.webhooks.event_log import EventLog
from gateway.webhooks.event_positions import PositionAssigner
from gateway.webhooks.notifier import CallbackNotifier
from gateway.webhooks.posting import Poster
from gateway.webhooks.stream import Stream

_CLAIM_INTERVAL_SECONDS, _FINISH_INTERVAL_SECONDS = 0.1, 0.1
"""Between two claims of delivery queues of a node, and between two records of deliveries."""


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The objects that other builders need."""

    poster: Poster
    stream: Stream
    notifier: CallbackNotifier


def build_callbacks(
    node: NodeContext,
    webhooks: WebhookSection,
    kafka: KafkaSection,
    kafka_health: KafkaHealth,
    *,
    max_followers: int,
) -> Callbacks:
    database, clock = node.database, node.clock
    notifier = CallbackNotifier()
    poster = Poster(node.address_policy, clock, timeout_seconds=webhooks.timeout_seconds)
    log = EventLog(database, days=webhooks.history_days)
    stream = Stream(log, clock, max_followers=max_followers)
    # Its readers are HTTP connections, so it stops together with the listeners.
    node.start(Stage.EDGES, event_stream=stream)
    notifier.subscribe(stream.wake)
    stream.listen(node.notifications)
    node.start(Stage.BATCHES, event_positions=PositionAssigner(log, clock))
    if node.role.posts:
        delivery = _start_delivery(node, webhooks, poster)
        publisher = publisher_of(
            kafka, database, log, clock, node_id=node.node_id, health=kafka_health
        )
        node.start(Stage.SENDERS, kafka_out=publisher)
        for consumer in (delivery, publisher):
            if consumer:
                notifier.subscribe(consumer.wake)
                node.notifications.subscribe("callbacks", _ignoring_payload(consumer.wake))
    else:
        remote = RemoteNotifier(database, clock, "callbacks")
        node.start(Stage.BATCHES, callback_notifier=remote)
        notifier.subscribe(remote.notify)
    return Callbacks(poster, stream, notifier)


def _ignoring_payload(wake: Callable[[], None]) -> Callable[[str], None]:
    return lambda _payload: wake()


def _start_delivery(node: NodeContext, webhooks: WebhookSection, poster: Poster) -> Delivery:
    planned_once = node.database.planned_once()
    recorder = DeliveryRecorder(planned_once, node.clock, interval_seconds=_FINISH_INTERVAL_SECONDS)
    delivery = Delivery(
        planned_once,
        poster,
        recorder,
        CircuitBreakers(
            node.clock,
            node.uniform,
            BreakerLimits(slow_seconds=webhooks.timeout_seconds / 3),
        ),
        node.clock,
        vault=node.vault,
        node_id=node.node_id,
        schedule=RetrySchedule(
            node.uniform,
            base_seconds=webhooks.retry_base_seconds,
            max_attempts=webhooks.max_attempts,
            max_outage_seconds=webhooks.longest_outage_seconds,
        ),
        # A post may begin until half of the claim is over, and must end before the claim does.
        limits=DeliveryLimits(claim_seconds=30.0 + 2 * webhooks.timeout_seconds),
        metrics=node.metrics,
        turns=node.turns,
        traffic=node.traffic,
        claim_interval_seconds=_CLAIM_INTERVAL_SECONDS,
    )
    node.start(Stage.BATCHES, deliveries=recorder)
    node.start(Stage.SENDERS, webhooks=delivery)
    return delivery
