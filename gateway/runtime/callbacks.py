"""Builds what tells callers: webhooks, streams, Kafka."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.database.notifications import RemoteNotifier
from gateway.runtime.kafka import publisher_of
from gateway.runtime.node_context import NodeContext, all_of
from gateway.runtime.supervisor import Stage
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.circuit_breakers import BreakerLimits, CircuitBreakers
from gateway.webhooks.delivery import Delivery, DeliveryLimits
from gateway.webhooks.delivery_recorder import DeliveryRecorder
from gateway.webhooks.posting import Poster
from gateway.webhooks.stream import Stream


@dataclass(frozen=True, slots=True)
class Callbacks:
    """*told* is to be called when a callback was written, here or elsewhere."""

    poster: Poster
    delivery: Delivery
    stream: Stream
    told: Callable[[], None]


def build_callbacks(node: NodeContext) -> Callbacks:
    settings, database, clock = node.settings, node.database, node.clock
    poster = Poster(
        settings.address_policy(), clock, timeout_seconds=settings.webhook_timeout_seconds
    )
    recorder = DeliveryRecorder(database, clock)
    node.start(Stage.BATCHES, deliveries=recorder)
    delivery = _delivery(node, poster, recorder)
    stream = Stream(database, clock, days=settings.webhook_history_days)
    node.start(Stage.EDGES, event_stream=stream)  # its readers are connections
    told = all_of(_posting(node, delivery), stream.wake)
    return Callbacks(poster, delivery, stream, told)


def _posting(node: NodeContext, delivery: Delivery) -> Callable[[], None]:
    """Posts from here, or wakes those that do."""
    if not node.settings.role.posts:
        wakeup = RemoteNotifier(node.database, node.clock, "callbacks")
        node.start(Stage.BATCHES, callback_notifier=wakeup)
        return wakeup.ring
    publisher = publisher_of(node.settings, node.database, node.clock, node.node_id)
    node.start(Stage.SENDERS, webhooks=delivery, kafka_out=publisher)
    told = all_of(delivery.wake, *((publisher.wake,) if publisher else ()))
    node.notifications.subscribe("callbacks", lambda _nothing: told())
    return told


def _delivery(node: NodeContext, poster: Poster, recorder: DeliveryRecorder) -> Delivery:
    settings = node.settings
    return Delivery(
        node.database,
        poster,
        recorder,
        CircuitBreakers(
            node.clock,
            node.uniform,
            BreakerLimits(slow_seconds=settings.webhook_timeout_seconds / 3),
        ),
        node.clock,
        vault=node.vault,
        node_id=node.node_id,
        schedule=RetrySchedule(
            node.uniform,
            base_seconds=settings.webhook_retry_base_seconds,
            max_attempts=settings.webhook_max_attempts,
            longest_outage_seconds=settings.webhook_longest_outage_seconds,
        ),
        # A post may begin when half of the claim is over.
        limits=DeliveryLimits(claim_seconds=30.0 + 2 * settings.webhook_timeout_seconds),
        metrics=node.metrics,
    )
