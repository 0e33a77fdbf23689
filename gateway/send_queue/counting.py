"""Counts attempts to send in the metrics."""

from datetime import datetime

from gateway.observability.metrics import Metrics
from gateway.send_queue.claim_cursor import ClaimedMessage
from gateway.send_queue.outcome import Failed, Held, Outcome, Sent, Withheld, reason_of


def count_attempt(
    metrics: Metrics, row: ClaimedMessage, outcome: Outcome, *, seconds: float, now: datetime
) -> None:
    """Counts one attempt, which took *seconds*, and what it led to."""
    instance_id = row.instance_id
    metrics.attempted(row.type, type(outcome).__name__.lower(), instance_id, seconds=seconds)
    if isinstance(outcome, Sent):
        age = now - row.created_at
        metrics.sent(row.type, instance_id, after_seconds=age.total_seconds())
    elif isinstance(outcome, Failed):
        metrics.failed(outcome.error_class, instance_id)
    elif isinstance(outcome, Held | Withheld):
        metrics.held(reason_of(outcome) or "", instance_id)
