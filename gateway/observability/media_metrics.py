"""The metrics of files, and of the disk under them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class MediaMetrics:
    """The files made ready to send, the free disk, and what waits for the bucket."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._free = Gauge(
            "media_disk_free_bytes",
            "Bytes that are free on the disk of the data directory.",
            registry=registry,
        )
        self._reserve = Gauge(
            "media_disk_min_free_bytes",
            "Free bytes below which this node takes no file.",
            registry=registry,
        )
        self._refused = Counter(
            "media_files_refused_total",
            "Files refused because too little of the disk is free.",
            registry=registry,
        )
        self._deferred_files = Gauge(
            "media_deferred_files",
            "Files in the folder of this node that wait for the bucket.",
            registry=registry,
        )
        self._deferred_bytes = Gauge(
            "media_deferred_bytes",
            "Bytes of the files that wait for the bucket.",
            registry=registry,
        )
        self._prepared = Counter(
            "media_files_total",
            "Files of messages that were fetched and made ready to send, by outcome.",
            ("kind", "outcome"),
            registry=registry,
        )
        self._prepared_bytes = Counter(
            "media_bytes_total",
            "Bytes of the files that were made ready to send.",
            ("kind",),
            registry=registry,
        )
        self._prepared_seconds = Histogram(
            "media_preparation_seconds",
            "From the begin of a file's fetch until it is ready to send, or fails.",
            ("kind",),
            buckets=_SECONDS,
            registry=registry,
        )

    def watch_disk(self, free_bytes: Callable[[], int], *, min_free_bytes: int) -> None:
        """Shows the free bytes, read at each scrape, and those that stay free."""
        self._free.set_function(free_bytes)
        self._reserve.set(min_free_bytes)

    def refused(self) -> None:
        self._refused.inc()

    def deferred(self, files: int, size_bytes: int) -> None:
        self._deferred_files.set(files)
        self._deferred_bytes.set(size_bytes)

    def prepared(self, kind: str, outcome: str, *, seconds: float, size_bytes: int) -> None:
        self._prepared.labels(kind, outcome).inc()
        self._prepared_seconds.labels(kind).observe(seconds)
        if size_bytes:
            self._prepared_bytes.labels(kind).inc(size_bytes)
