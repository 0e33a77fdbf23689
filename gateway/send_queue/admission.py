"""Checks a message before it enters the queue, for HTTP and Kafka alike."""

from datetime import timedelta
from typing import Final

from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.errors import InvalidRequest, TrialOver
from gateway.instances.store import Instance

_MAX_AHEAD: Final = timedelta(days=90)


class Admission:
    """Rules that depend on the time and on the instance, not on the message's form."""

    def __init__(self, clock: Clock, *, trials: bool) -> None:
        """Prepares the checks; with *trials*, an instance cannot send after its trial."""
        self._clock, self._trials = clock, trials

    def check(self, instance: Instance, message: OutgoingMessage) -> None:
        """Raises an error if the message may not be queued.

        Raises:
            InvalidRequest: `scheduledFor` is in the past or too far ahead.
            TrialOver: the trial has ended and the instance has no subscription.
        """
        now = self._clock.now()
        if message.scheduled_for is not None:
            ahead = message.scheduled_for - now
            if ahead <= timedelta(0):
                raise InvalidRequest("scheduledFor: must be in the future")
            if ahead > _MAX_AHEAD:
                raise InvalidRequest(f"scheduledFor: must be at most {_MAX_AHEAD.days} days ahead")
        ends_at = instance.trial_ends_at
        if self._trials and not instance.subscribed and ends_at is not None and ends_at < now:
            raise TrialOver
