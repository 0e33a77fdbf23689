"""Trials and subscriptions: until when an instance may send, and how the API shows it."""

from datetime import UTC, datetime, timedelta

from gateway.clock import epoch_ms
from gateway.instances.store import Instance

TRIAL = timedelta(days=2)
AFTER_CANCELLING = timedelta(days=30)
_NEVER_DUE = datetime(2100, 1, 1, tzinfo=UTC)


def due_ms(instance: Instance) -> int:
    """Returns when the trial or cancelled subscription ends; far in the future if nothing ends."""
    return due_at_ms(None if instance.subscribed else instance.trial_ends_at)


def due_at_ms(ends_at: datetime | None) -> int:
    return epoch_ms(ends_at or _NEVER_DUE)


def payment_status(instance: Instance) -> str:
    if instance.subscribed or instance.trial_ends_at is None:
        return "PAID"
    return "CANCELED" if instance.canceled_at else "TRIAL"
