"""Builds what tells callers: webhooks, streams, Kafka."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.database.notifications import DistantBell
from gateway.runtime.ground import Ground, all_of
from gateway.runtime.kafka import publisher_of
from gateway.runtime.stages import Floor
from gateway.webhooks.addresses import Addresses, AddressLimits
from gateway.webhooks.backoff import RetrySchedule
from gateway.webhooks.delivery import Delivery, DeliveryLimits
from gateway.webhooks.ledger import Ledger
from gateway.webhooks.posting import Poster
from gateway.webhooks.stream import Stream


@dataclass(frozen=True, slots=True)
class Callbacks:
    """*told* is to be called when a callback was written, here or elsewhere."""

    poster: Poster
    delivery: Delivery
    stream: Stream
    told: Callable[[], None]


def build_callbacks(ground: Ground) -> Callbacks:
    settings, database, clock = ground.settings, ground.database, ground.clock
    poster = Poster(
        settings.address_policy(), clock, timeout_seconds=settings.webhook_timeout_seconds
    )
    ledger = Ledger(database, clock)
    ground.start(Floor.BATCHES, deliveries=ledger)
    delivery = _delivery(ground, poster, ledger)
    stream = Stream(database, clock, days=settings.webhook_history_days)
    ground.start(Floor.EDGES, event_stream=stream)  # its readers are connections
    told = all_of(_posting(ground, delivery), stream.look_again)
    return Callbacks(poster, delivery, stream, told)


def _posting(ground: Ground, delivery: Delivery) -> Callable[[], None]:
    """Posts from here, or wakes those that do."""
    if not ground.settings.role.posts:
        bell = DistantBell(ground.database, ground.clock, "callbacks")
        ground.start(Floor.BATCHES, callback_bell=bell)
        return bell.ring
    publisher = publisher_of(ground.settings, ground.database, ground.clock, ground.node_id)
    ground.start(Floor.SENDERS, webhooks=delivery, kafka_out=publisher)
    told = all_of(delivery.look_again, *((publisher.look_again,) if publisher else ()))
    ground.notifications.subscribe("callbacks", lambda _nothing: told())
    return told


def _delivery(ground: Ground, poster: Poster, ledger: Ledger) -> Delivery:
    settings = ground.settings
    return Delivery(
        ground.database,
        poster,
        ledger,
        Addresses(
            ground.clock,
            ground.uniform,
            AddressLimits(slow_seconds=settings.webhook_timeout_seconds / 3),
        ),
        ground.clock,
        vault=ground.vault,
        node_id=ground.node_id,
        schedule=RetrySchedule(
            ground.uniform,
            base_seconds=settings.webhook_retry_base_seconds,
            max_attempts=settings.webhook_max_attempts,
            longest_outage_seconds=settings.webhook_longest_outage_seconds,
        ),
        # A post may begin when half of the claim is over.
        limits=DeliveryLimits(claim_seconds=30.0 + 2 * settings.webhook_timeout_seconds),
        metrics=ground.metrics,
    )
