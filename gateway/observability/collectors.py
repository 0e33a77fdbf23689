"""Metrics that are read from elsewhere at each scrape."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress

import psutil
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector


class ChildrenCollector(Collector):
    """The processes that this one started: engines, converters, the embedded Postgres."""

    def collect(self) -> Iterable[Metric]:
        memory_bytes = count = 0
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it ended meanwhile
                memory_bytes += child.memory_info().rss
                count += 1
        yield GaugeMetricFamily("child_processes", "Processes below this one.", value=count)
        yield GaugeMetricFamily(
            "child_processes_resident_memory_bytes",
            "Resident memory of the processes below this one; shared pages count in each.",
            value=memory_bytes,
        )


class PoolCollector(Collector):
    """The statistics of a pool of connections to Postgres."""

    _SHOWN = ("pool_size", "pool_available", "requests_waiting", "requests_num", "requests_errors")

    def __init__(self, prefix: str, stats: Callable[[], Mapping[str, int]]) -> None:
        self._prefix, self._stats = prefix, stats

    def collect(self) -> Iterable[Metric]:
        stats = self._stats()
        for name in self._SHOWN:
            yield GaugeMetricFamily(
                f"{self._prefix}_{name}", "See psycopg_pool's statistics.", value=stats.get(name, 0)
            )
