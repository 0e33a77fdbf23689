"""Builds what notifies callers: the outbox, webhooks, streams, Kafka."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.database.notifications import RemoteNotifier
from gateway.runtime.kafka import publisher_of
from gateway.runtime.node_context import NodeContext
from gateway.runtime.supervisor import Stage
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.circuit_breakers import BreakerLimits, CircuitBreakers
from gateway.webhooks.delivery import Delivery, DeliveryLimits
from gateway.webhooks.delivery_recorder import DeliveryRecorder
from gateway.webhooks.event_log import EventLog
from gateway.webhooks.notifier import CallbackNotifier
from gateway.webhooks.posting import Poster
from gateway.webhooks.stream import Stream


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the other builders need."""

    poster: Poster
    stream: Stream
    notifier: CallbackNotifier


def build_callbacks(node: NodeContext) -> Callbacks:
    settings, database, clock = node.settings, node.database, node.clock
    notifier = CallbackNotifier()
    poster = Poster(
        settings.address_policy(), clock, timeout_seconds=settings.webhook_timeout_seconds
    )
    log = EventLog(database, days=settings.webhook_history_days)
    stream = Stream(log, clock)
    node.start(Stage.EDGES, event_stream=stream)  # its readers are connections
    notifier.subscribe(stream.wake)
    if settings.role.posts:
        _deliver_here(node, notifier, poster, log)
    else:
        remote = RemoteNotifier(database, clock, "callbacks")
        node.start(Stage.BATCHES, callback_notifier=remote)
        notifier.subscribe(remote.notify)
    return Callbacks(poster, stream, notifier)


def _deliver_here(
    node: NodeContext, notifier: CallbackNotifier, poster: Poster, log: EventLog
) -> None:
    recorder = DeliveryRecorder(node.database, node.clock)
    node.start(Stage.BATCHES, deliveries=recorder)
    delivery = _delivery(node, poster, recorder)
    publisher = publisher_of(node.settings, node.database, log, node.clock, node.node_id)
    node.start(Stage.SENDERS, webhooks=delivery, kafka_out=publisher)
    for consumer in (delivery, publisher):
        if consumer:
            notifier.subscribe(consumer.wake)
            node.notifications.subscribe("callbacks", _ignoring_payload(consumer.wake))


def _ignoring_payload(wake: Callable[[], None]) -> Callable[[str], None]:
    return lambda _payload: wake()


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
            max_outage_seconds=settings.webhook_longest_outage_seconds,
        ),
        # A post may begin when half of the claim is over.
        limits=DeliveryLimits(claim_seconds=30.0 + 2 * settings.webhook_timeout_seconds),
        metrics=node.metrics,
    )
