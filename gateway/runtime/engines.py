"""Starts the engine of each offered provider."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.media.pictures import Pictures
from gateway.observability.metrics import Metrics
from gateway.providers.loading import load_provider
from gateway.sessions.library_pool import LibraryPoolOf
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.provider import Engine, ProviderContext


def build_engines(
    providers: Sequence[str],
    environment: Mapping[str, str],
    *,
    data_dir: Path,
    library_pools: Callable[[str], LibraryPoolOf],
    clock: Clock,
    database: Database,
    notifications: Notifications,
    pictures: Pictures,
    metrics: Metrics,
    lock: NodeLock,
) -> dict[str, Engine]:
    """Returns the engines by the names of their providers; each reads its own variables.

    Args:
        providers: the offered providers.
        environment: where engines find their variables.
        data_dir: the data directory.
        library_pools: builds connections for the library of the engine of a provider.
        clock: time.
        database: runs the queries of each provider.
        notifications: carries the signals between the engines of one provider.
        pictures: turns the sources of pictures into JPEG.
        metrics: of this process.
        lock: child processes inherit it.
    """
    planned_once = database.planned_once()  # a send may ask for several rows of a provider
    return {
        name: load_provider(name).start(
            ProviderContext(
                environment=environment,
                data_dir=data_dir,
                clock=clock,
                store=PostgresProviderStore(planned_once, notifications, provider=name),
                library_pool=library_pools(name),
                picture=pictures.jpeg,
                inherited=lock.inherited,
                metrics=metrics,
            )
        )
        for name in providers
    }
