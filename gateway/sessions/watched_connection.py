"""What a node knows of the health of the connections whose leases it owns."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from gateway.contract.extensions.connections import ConnectionHealth
from gateway.sessions.health import EventCounter, EventLag, HealthCircuit, RepairPlan
from gateway.sessions.live import LiveSession


@dataclass(slots=True)
class WatchedConnection:
    """What the monitor knows of the connection of one lease; times are monotonic seconds."""

    instance_id: str
    epoch: int
    next_check_at: float
    base: EventCounter
    """What was counted before this node had the lease."""
    provider: str = ""
    circuit: HealthCircuit = field(default_factory=HealthCircuit)
    plan: RepairPlan = field(default_factory=RepairPlan)
    lag: EventLag = field(default_factory=EventLag)
    counted: EventCounter = field(default_factory=EventCounter)
    """What was counted in sessions of this lease that are closed."""
    live: LiveSession | None = None
    reason: str | None = None
    latency_ms: int | None = None
    since: datetime | None = None
    checked_at: datetime | None = None
    missing_receipts: str | None = None
    alarm: str | None = None
    """What is bad although WhatsApp answers, as a label of a metric."""
    metered: EventCounter = field(default_factory=EventCounter)
    receipts_due_at: float = 0.0
    failure: str | None = None
    refused: bool = False
    is_refusal_untold: bool = False
    """Whether the cap of refusals was reached, and no callback says so yet."""
    written: object = None
    written_at: float = 0.0
    written_counts: EventCounter | None = None
    noted: ConnectionHealth = "unknown"

    @property
    def counted_here(self) -> EventCounter:
        """What was counted under this lease."""
        return self.counted + (self.live.events if self.live else EventCounter())

    @property
    def counts(self) -> EventCounter:
        return self.base + self.counted_here

    def follow(self, live: LiveSession | None) -> None:
        """Notes the session that is open now, and keeps the counts of the one before."""
        if self.live is not None and self.live is not live:
            self.counted += self.live.events
            self.lag = EventLag()
        self.live = live
        if live:
            self.provider = live.instance.provider

    @property
    def shown(self) -> object:
        """What is written at once when it changes."""
        return (self.circuit.status, self.reason, self.plan.count, self.plan.is_capped)


def summary_of(watched: Sequence[WatchedConnection]) -> Mapping[str, Any]:
    """Returns the worst health, its reason, the median latency and the mean error rate."""
    order: tuple[ConnectionHealth, ...] = ("healthy", "recovering", "unhealthy")
    shares = Counter(each.circuit.status for each in watched)
    is_down = shares["unhealthy"] * 2 > len(watched)
    latencies = sorted(each.latency_ms for each in watched if each.latency_ms is not None)
    rates = [each.circuit.error_rate or 0.0 for each in watched]
    worst = max(watched, key=lambda each: order.index(each.circuit.status))
    return {
        "status": "unhealthy" if is_down else "healthy",
        "unhealthyShare": round(shares["unhealthy"] / len(watched), 3),
        "latencyMs": latencies[len(latencies) // 2] if latencies else None,
        "errorRate": round(sum(rates) / len(rates), 3),
        "reason": worst.reason if is_down else None,
    }
