"""The metrics of stored files and of the disk under them."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge


class MediaMetrics:
    """The free disk, the files that it refused, and those that wait for the bucket."""

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

    def watch_disk(self, free_bytes: Callable[[], int], *, min_free_bytes: int) -> None:
        """Shows the free bytes, read at each scrape, and those that stay free."""
        self._free.set_function(free_bytes)
        self._reserve.set(min_free_bytes)

    def refused(self) -> None:
        self._refused.inc()

    def deferred(self, files: int, size_bytes: int) -> None:
        self._deferred_files.set(files)
        self._deferred_bytes.set(size_bytes)
