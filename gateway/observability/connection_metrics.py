"""The metrics of connections: their health, checks, repairs and events."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_HEALTHS: Final = ("healthy", "recovering", "unhealthy", "unknown")
_CHECK_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15)


class ConnectionMetrics:
    """Of the connections whose leases this node owns."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._connections = Gauge(
            "connections", "Connections of this node by health.", ("health",), registry=registry
        )
        self._checks = Counter(
            "connection_checks_total",
            "Checks of connections, by result.",
            ("provider", "result"),
            registry=registry,
        )
        self._seconds = Histogram(
            "connection_check_seconds",
            "How long WhatsApp took to answer a check.",
            ("provider",),
            buckets=_CHECK_SECONDS,
            registry=registry,
        )
        self._changes = Counter(
            "connection_health_changes_total",
            "Changes of the health of a connection, by the new one.",
            ("health",),
            registry=registry,
        )
        self._repairs = Counter(
            "connection_repairs_total",
            "Failing connections opened again, by what failed.",
            ("cause",),
            registry=registry,
        )
        self._alarms = Gauge(
            "connection_alarms",
            "Connections of this node that answer and are bad all the same, by reason.",
            ("reason",),
            registry=registry,
        )
        self._events = Counter(
            "connection_events_total",
            "Events of connections: reported, stored, processed.",
            ("provider", "stage"),
            registry=registry,
        )
        for cause in ("refused", "unreachable"):
            self._repairs.labels(cause)

    def show(self, by_health: Mapping[str, int], by_alarm: Mapping[str, int]) -> None:
        """Shows how many connections have each health, and each alarm."""
        for health in _HEALTHS:
            self._connections.labels(health).set(by_health.get(health, 0))
        for reason in ("receipts_missing", "events_waiting"):
            self._alarms.labels(reason).set(by_alarm.get(reason, 0))

    def checked(self, provider: str, *, is_good: bool, seconds: float) -> None:
        self._checks.labels(provider, "good" if is_good else "bad").inc()
        if is_good:
            self._seconds.labels(provider).observe(seconds)

    def changed(self, health: str) -> None:
        self._changes.labels(health).inc()

    def repaired(self, *, refused: bool) -> None:
        self._repairs.labels("refused" if refused else "unreachable").inc()

    def counted(self, provider: str, *, reported: int, stored: int, processed: int) -> None:
        """Counts further events."""
        stages = {"reported": reported, "stored": stored, "processed": processed}
        for stage, count in stages.items():
            self._events.labels(provider, stage).inc(max(0, count))
