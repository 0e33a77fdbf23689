"""What is asked of a message before it may join the line, by whichever road it comes."""

from datetime import timedelta
from typing import Final

from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.errors import InvalidRequest, TrialOver
from gateway.instances.store import Instance

_FARTHEST: Final = timedelta(days=90)


class Admission:
    """With *trials*, an instance stops sending when its own is over."""

    def __init__(self, clock: Clock, *, trials: bool) -> None:
        self._clock, self._trials = clock, trials

    def check(self, instance: Instance, message: OutgoingMessage) -> None:
        """Raises InvalidRequest where the time does not do, TrialOver where nobody subscribed."""
        now = self._clock.now()
        if message.scheduled_for is not None:
            ahead = message.scheduled_for - now
            if ahead <= timedelta(0):
                raise InvalidRequest("scheduledFor: must be in the future")
            if ahead > _FARTHEST:
                raise InvalidRequest(f"scheduledFor: must be at most {_FARTHEST.days} days ahead")
        ends_at = instance.trial_ends_at
        if self._trials and not instance.subscribed and ends_at is not None and ends_at < now:
            raise TrialOver
