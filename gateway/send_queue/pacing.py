"""Computes pauses and daily limits; nothing here waits."""

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gateway.instances.feature_settings import FeatureSettings
from gateway.instances.store import Instance
from gateway.randomness import Uniform
from gateway.send_queue.order import QueueOrder
from gateway.send_queue.unknown_messages import UnknownQuote

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Pace:
    """The bounds of the random pause before each message, in seconds."""

    min_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True)
class SendPolicy:
    """How fast and how much an instance sends; its own settings override these.

    Attributes:
        pace: the pause before each message.
        daily_limit: messages per day; 0 means no limit.
        warm_up_days: days until a new number may send its full daily limit; 0 means at once.
        order: what a message that waits holds.
        features: what accounts and instances may set otherwise.
        unknown_quote: what a reply does that quotes an unknown message.
    """

    pace: Pace
    daily_limit: int = 0
    warm_up_days: int = 0
    order: QueueOrder = "chat"
    features: FeatureSettings = field(default_factory=FeatureSettings)
    unknown_quote: UnknownQuote = "quote"

    def features_of(self, instance: Instance) -> FeatureSettings:
        return self.features.with_own(instance.own_settings)

    def min_seconds_between_attempts(self, instance: Instance) -> float:
        """Evenly spaced, so that no minute has more than its messages, across restarts too."""
        messages = self.features_of(instance).messages_per_minute
        return 60.0 / messages if messages else 0.0

    def max_pause_seconds(self, instance: Instance) -> float:
        """Returns the longest pause before a message that asks for no delay."""
        return max(self.pace_of(instance).max_seconds, self.min_seconds_between_attempts(instance))

    def mean_pause_seconds(self, instance: Instance) -> float:
        """Returns the usual pause before a message, for estimates."""
        pace = self.pace_of(instance)
        mean = (pace.min_seconds + pace.max_seconds) / 2
        return max(mean, self.min_seconds_between_attempts(instance))

    def pace_of(self, instance: Instance) -> Pace:
        if instance.pace_min_seconds is None or instance.pace_max_seconds is None:
            return self.pace
        return Pace(instance.pace_min_seconds, instance.pace_max_seconds)

    def daily_limit_of(self, instance: Instance) -> int:
        return self.daily_limit if instance.daily_limit is None else instance.daily_limit

    def warm_up_days_of(self, instance: Instance) -> int:
        return self.warm_up_days if instance.warm_up_days is None else instance.warm_up_days

    def limit_of(self, instance: Instance, now: datetime) -> int:
        """Returns how many messages may be sent today; 0 means no limit."""
        limit, days = self.daily_limit_of(instance), self.warm_up_days_of(instance)
        if not limit or not days:
            return limit
        day = 1 + max(0, (now - (instance.warm_up_from or instance.created_at)) // _DAY)
        return min(limit, math.ceil(limit * day / days))


@dataclass(frozen=True, slots=True)
class Backoff:
    """Growing pauses between the attempts of one message, in seconds."""

    base_seconds: float = 5.0
    cap_seconds: float = 300.0

    def after(self, attempts: int, uniform: Uniform) -> float:
        """Returns a random pause: half to all of a bound that doubles with each attempt."""
        max_seconds = min(self.cap_seconds, self.base_seconds * 2.0 ** (attempts - 1))
        return uniform(max_seconds / 2, max_seconds)


def pause_before(delay_message_seconds: int | None, pace: Pace, uniform: Uniform) -> float:
    """Returns the wait between claiming a message and sending it, in seconds."""
    return uniform(pace.min_seconds, pace.max_seconds) + (delay_message_seconds or 0)


class Pauses:
    """When the pause of a worker began, and how much of it is left; seconds of one clock."""

    def __init__(self, policy: SendPolicy, uniform: Uniform, now: float) -> None:
        self._policy, self._uniform = policy, uniform
        self._from: float | None = None
        """When the pause before the next message began; None once the queue was empty."""
        self._attempt_from = now
        """When the last attempt began. A new worker does not know: it counts its own begin."""

    def seconds_left(self, delay_message: int | None, instance: Instance, now: float) -> float:
        """Returns how long to wait before the next attempt; 0 and less is not at all.

        The settings of *instance* may change between messages.
        """
        seconds = pause_before(delay_message, self._policy.pace_of(instance), self._uniform)
        if self._from is not None:
            seconds -= now - self._from
        least = self._policy.min_seconds_between_attempts(instance)
        return max(seconds, least - (now - self._attempt_from)) if least else seconds

    def queue_was_empty(self) -> None:
        self._from = None

    def message_was_parked(self, began: float) -> None:
        """The pause before it, from *began* on, counts for the next message."""
        if self._from is None:
            self._from = began

    def attempt_began(self, now: float) -> None:
        self._attempt_from = now

    def attempt_ended(self, now: float) -> None:
        self._from = now
