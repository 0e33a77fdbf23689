"""Starts the engine of each offered provider."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from gateway.clock import Clock
from gateway.database.library_url import library_url_of
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.media.pictures import Pictures
from gateway.observability.metrics import Metrics
from gateway.providers.loading import load_provider
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.provider import Engine, ProviderContext


def build_engines(
    providers: Sequence[str],
    environment: Mapping[str, str],
    *,
    data_dir: Path,
    direct_url: str,
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
        direct_url: of the database, without a pooler: an engine library sets parameters of its
            session, which a transaction pooler loses.
        clock: time.
        database: runs the queries of each provider.
        notifications: carries the signals between the engines of one provider.
        pictures: turns the sources of pictures into JPEG.
        metrics: of this process.
        lock: child processes inherit it.
    """
    return {
        name: load_provider(name).start(
            ProviderContext(
                environment=environment,
                data_dir=data_dir,
                clock=clock,
                store=PostgresProviderStore(database, notifications, provider=name),
                database_url=library_url_of(direct_url, schema=name),
                picture=pictures.jpeg,
                inherited=lock.inherited,
                metrics=metrics,
            )
        )
        for name in providers
    }
