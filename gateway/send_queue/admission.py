"""Checks a message before it enters the queue, for HTTP and Kafka alike."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.contract.wire import MAX_EXPIRY_SECONDS
from gateway.errors import InvalidRequest, NotSupported, TrialOver
from gateway.instances.store import Instance

_MAX_AHEAD: Final = timedelta(days=90)
_MAX_EXPIRY: Final = timedelta(seconds=MAX_EXPIRY_SECONDS)

Supports = Callable[[str, type[OutgoingMessage]], bool]


class Admission:
    """Rules that depend on the time and on the instance, not on the message's form."""

    def __init__(self, clock: Clock, *, trials: bool, supports: Supports) -> None:
        """Prepares the checks.

        Args:
            clock: time.
            trials: whether an instance cannot send after its trial.
            supports: whether the provider of this name can send messages of this class.
        """
        self._clock, self._trials, self._supports = clock, trials, supports

    def require_supported(self, instance: Instance, kind: type[OutgoingMessage]) -> None:
        """Raises NotSupported if the instance's provider cannot send such a message."""
        if not self._supports(instance.provider, kind):
            raise NotSupported(
                f"{kind.__name__} is not supported by the {instance.provider} provider"
            )

    def check(self, instance: Instance, message: OutgoingMessage) -> None:
        """Raises an error if the message may not be queued.

        Raises:
            NotSupported: the instance's provider cannot send such a message.
            InvalidRequest: `scheduledFor` or the expiry is in the past or too far ahead, or the
                message would expire before it is due.
            TrialOver: the trial has ended and the instance has no subscription.
        """
        self.require_supported(instance, type(message))
        now = self._clock.now()
        if message.scheduled_for is not None:
            _require_ahead("scheduledFor", message.scheduled_for - now, max_ahead=_MAX_AHEAD)
        _check_expiry(message, now)
        ends_at = instance.trial_ends_at
        if self._trials and not instance.subscribed and ends_at is not None and ends_at < now:
            raise TrialOver


def _check_expiry(message: OutgoingMessage, now: datetime) -> None:
    if message.expires_at is not None and message.expires_in is not None:
        raise InvalidRequest("expiresIn: must not be given together with expiresAt")
    if message.expires_at is not None:
        field, expires_at = "expiresAt", message.expires_at
        _require_ahead(field, expires_at - now, max_ahead=_MAX_EXPIRY)
    elif message.expires_in is not None:
        field, expires_at = "expiresIn", now + timedelta(seconds=message.expires_in)
    else:
        return
    if message.scheduled_for is not None and expires_at <= message.scheduled_for:
        raise InvalidRequest(
            f"{field}: the message would expire before it is due; expire it after scheduledFor"
        )


def _require_ahead(field: str, ahead: timedelta, *, max_ahead: timedelta) -> None:
    if ahead <= timedelta(0):
        raise InvalidRequest(f"{field}: must be in the future")
    if ahead > max_ahead:
        raise InvalidRequest(f"{field}: must be at most {max_ahead.days} days ahead")
