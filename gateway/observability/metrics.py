"""Every metric, declared and described once.

`instance_id` becomes a further label of the message metrics only where a setting asks for it:
with ten thousand instances it costs hundreds of megabytes and seconds per scrape.
"""

import asyncio
from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

from gateway.observability.collectors import ChildrenCollector, PoolCollector
from gateway.observability.connection_metrics import ConnectionMetrics
from gateway.observability.kafka_metrics import KafkaMetrics
from gateway.observability.media_metrics import MediaMetrics

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SEND_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_CALLBACK_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 300, 3600, 86_400)
_QUEUE_SECONDS = (0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600, 14_400, 86_400)
_HTTP_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
_LOOP_SECONDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1)

# Caches children of metrics: `labels` takes a lock and checks its arguments.
_counter = lru_cache(10_000)(Counter.labels)
_histogram = lru_cache(10_000)(Histogram.labels)


class Metrics:
    """The metrics of this process."""

    def __init__(self, *, by_instance: bool = False) -> None:
        self.registry = CollectorRegistry()
        self.by_instance = by_instance
        own = ("instance_id",) if by_instance else ()
        self._declare_messages(own)
        self._declare_gauges(own)
        self._declare_edges()
        self.connections = ConnectionMetrics(self.registry)
        self.kafka = KafkaMetrics(self.registry)
        self.media = MediaMetrics(self.registry)

    def _declare_messages(self, own: tuple[str, ...]) -> None:
        registry = self.registry
        self._queued = Counter(
            "messages_queued_total", "Messages accepted.", ("type", *own), registry=registry
        )
        self._attempts = Counter(
            "message_send_attempts_total",
            "Attempts to send, by outcome.",
            ("type", "status", *own),
            registry=registry,
        )
        self._duration = Histogram(
            "message_send_duration_seconds",
            "From the start of an attempt to its outcome.",
            ("type", *own),
            buckets=_SEND_SECONDS,
            registry=registry,
        )
        self._latency = Histogram(
            "message_queue_latency_seconds",
            "From acceptance to WhatsApp's receipt.",
            ("type", *own),
            buckets=_QUEUE_SECONDS,
            registry=registry,
        )
        self._failures = Counter(
            "message_queue_failures_total",
            "Messages that failed for good.",
            ("error_class", *own),
            registry=registry,
        )
        self._holds = Counter(
            "queue_holds_total", "Holds of a queue until a time.", ("kind", *own), registry=registry
        )
        self._restarts = Counter(
            "session_restarts_total",
            "Sessions restarted after they broke, by reason.",
            ("reason", *own),
            registry=registry,
        )
        self._stalls = Counter(
            "message_queue_stalls_total",
            "Queues found standing still, by reason.",
            ("reason",),
            registry=registry,
        )
        self.purged = Counter(
            "queue_purged_total", "Messages removed from a queue by its owner.", registry=registry
        )

    def _declare_gauges(self, own: tuple[str, ...]) -> None:
        registry = self.registry
        self._backlog = Gauge(
            "message_queue_backlog",
            "Messages waiting in all queues of the database.",
            ("priority", *own),
            registry=registry,
        )
        self.oldest_waiting = Gauge(
            "message_queue_oldest_seconds",
            "Age of the oldest due message in the database.",
            registry=registry,
        )
        self.dead_letters = Gauge(
            "message_queue_dead_letters",
            "Failed messages that are still stored.",
            registry=registry,
        )
        self.sessions = Gauge(
            "sessions", "Instances by the state of their session.", ("state",), registry=registry
        )
        self.stalled_queues = Gauge(
            "message_queue_stalled",
            "Queues of this node that stand still although a message is due.",
            registry=registry,
        )
        self.outbox = Gauge(
            "webhook_outbox_backlog",
            "Callbacks waiting for delivery in the database.",
            registry=registry,
        )
        self.outbox_lag = Gauge(
            "webhook_outbox_lag_seconds",
            "How long the most overdue delivery queue of a chat has been due.",
            registry=registry,
        )
        self.webhook_dead_letters = Gauge(
            "webhook_dead_letters", "Failed callbacks that are still stored.", registry=registry
        )

    def _declare_edges(self) -> None:
        registry = self.registry
        self._callbacks = Counter(
            "webhook_posts_total",
            "Callbacks posted, by outcome.",
            ("type", "outcome"),
            registry=registry,
        )
        self.callback_latency = Histogram(
            "webhook_latency_seconds",
            "From an event to the delivery of its callback.",
            buckets=_CALLBACK_SECONDS,
            registry=registry,
        )
        self.blocked_receivers = Gauge(
            "webhook_held_addresses",
            "Receivers whose circuit breaker is open.",
            registry=registry,
        )
        self._requests = Counter(
            "http_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "http_request_duration_seconds",
            "Time to answer a request.",
            ("route",),
            buckets=_HTTP_SECONDS,
            registry=registry,
        )
        self._session_reads = Counter(
            "session_reads_total",
            "Cacheable reads of a session, by where the answer came from.",
            ("operation", "answered_from"),
            registry=registry,
        )
        self._conversions = Counter(
            "media_conversions_total",
            "Files that were read or converted, by outcome.",
            ("kind", "outcome"),
            registry=registry,
        )
        self._conversions_now = Gauge(
            "media_conversion_queue",
            "Files that are read or converted now, or wait for it.",
            ("work", "state"),
            registry=registry,
        )
        self._large_bodies = Counter(
            "large_bodies_total",
            "Large JSON bodies that went to the parsing process, by outcome.",
            ("outcome",),
            registry=registry,
        )
        self._refused_connections = Counter(
            "http_connections_refused_total",
            "Connections that a listener closed or refused, by reason.",
            ("listener", "reason"),
            registry=registry,
        )
        self._connections = Gauge(
            "http_connections", "Open connections.", ("listener",), registry=registry
        )
        self._refused_relay_calls = Counter(
            "relay_calls_refused_total",
            "Calls from other nodes that this node refused, by reason.",
            ("reason",),
            registry=registry,
        )
        self.loop_delay = Histogram(
            "event_loop_delay_seconds",
            "Delay of callbacks that are due on the event loop.",
            buckets=_LOOP_SECONDS,
            registry=registry,
        )
        self._tasks = Gauge(
            "event_loop_tasks", "Tasks of the event loop that are not done.", registry=registry
        )

    def queued(self, kind: str, instance_id: str) -> None:
        _counter(self._queued, kind, *self._own(instance_id)).inc()

    def attempted(self, kind: str, status: str, instance_id: str, *, seconds: float) -> None:
        own = self._own(instance_id)
        _counter(self._attempts, kind, status, *own).inc()
        _histogram(self._duration, kind, *own).observe(seconds)

    def sent(self, kind: str, instance_id: str, *, after_seconds: float) -> None:
        _histogram(self._latency, kind, *self._own(instance_id)).observe(after_seconds)

    def failed(self, error_class: str, instance_id: str) -> None:
        _counter(self._failures, error_class, *self._own(instance_id)).inc()

    def held(self, kind: str, instance_id: str) -> None:
        _counter(self._holds, kind, *self._own(instance_id)).inc()

    def expect_stalls(self, reasons: Iterable[str]) -> None:
        """Shows each reason with 0: without a sample before, Prometheus sees no increase."""
        for reason in reasons:
            _counter(self._stalls, reason)

    def stalled(self, reason: str) -> None:
        _counter(self._stalls, reason).inc()

    def restarted(self, reason: str, instance_id: str) -> None:
        _counter(self._restarts, reason, *self._own(instance_id)).inc()

    def posted(self, kind: str, outcome: str) -> None:
        _counter(self._callbacks, kind, outcome).inc()

    def answered(self, method: str, route: str, status: int, *, seconds: float) -> None:
        _counter(self._requests, method, route, str(status)).inc()
        _histogram(self._request_seconds, route).observe(seconds)

    def parsed_in_process(self, outcome: str) -> None:
        self._large_bodies.labels(outcome).inc()

    def connection_refused(self, listener: str, reason: str) -> None:
        self._refused_connections.labels(listener, reason).inc()

    def connections_changed(self, listener: str, count: int) -> None:
        self._connections.labels(listener).set(count)

    def relay_call_refused(self, reason: str) -> None:
        self._refused_relay_calls.labels(reason).inc()

    def read_session(self, operation: str, *, hit: bool) -> None:
        _counter(self._session_reads, operation, "memory" if hit else "session").inc()

    def converted(self, kind: str, outcome: str) -> None:
        _counter(self._conversions, kind, outcome).inc()

    def show_backlog(self, waiting: Mapping[tuple[str, str], int]) -> None:
        """Shows the messages that wait, by lane and instance; lanes alone without `by_instance`."""
        self._backlog.clear()
        sums = Counts[tuple[str, ...]]()
        for (lane, instance_id), count in waiting.items():
            sums[(lane, *self._own(instance_id))] += count
        for labels, count in sums.items():
            self._backlog.labels(*labels).set(count)

    def watch_process(self) -> None:
        """Adds memory, processor and files of this process, and of its children."""
        ProcessCollector(registry=self.registry)
        self.registry.register(ChildrenCollector())

    def watch_conversions(self, work: str, counts: Callable[[], Mapping[str, int]]) -> None:
        """Adds the files that wait and that run, read at each scrape."""
        for state in counts():
            self._conversions_now.labels(work, state).set_function(partial(_at, counts, state))

    def watch_pool(self, prefix: str, stats: Callable[[], Mapping[str, int]]) -> None:
        """Adds the statistics of a pool of connections to Postgres, read at each scrape."""
        self.registry.register(PoolCollector(prefix, stats))

    async def render(self) -> bytes:
        """Renders the metrics page, in a thread because many labels take seconds."""
        self._tasks.set(len(asyncio.all_tasks()))
        return await asyncio.to_thread(generate_latest, self.registry)

    def _own(self, instance_id: str) -> tuple[str, ...]:
        return (instance_id,) if self.by_instance else ()


def _at(counts: Callable[[], Mapping[str, int]], state: str) -> float:
    return counts()[state]
