"""Builds the connections to Postgres that clients of an engine's library share."""

from collections.abc import Callable

from gateway.clock import Clock
from gateway.database.library_pool.deferral import DeferredStatements
from gateway.database.library_pool.memory import RepeatedStatements
from gateway.database.library_pool.pool import PostgresLibraryPool
from gateway.database.pool import Database
from gateway.observability.metrics import Metrics
from gateway.sessions.library_pool import LibraryPool, LibraryPoolOf, LibraryPoolOptions
from gateway.settings.node_sections import DatabaseSection


def library_pools(
    url: str, section: DatabaseSection, clock: Clock, metrics: Metrics
) -> Callable[[str], LibraryPoolOf]:
    """Returns the builder of the pools for the library of the provider of a name."""

    def of_provider(name: str) -> LibraryPoolOf:
        def build(options: LibraryPoolOptions) -> LibraryPool:
            database = Database(
                url,
                min_size=1,
                max_size=options.max_connections,
                prepare=section.prepares_statements(),
                statement_seconds=section.statement_seconds,
                application_name=f"gateway {name}",
            )
            metrics.watch_pool("library_pool", database.pool.get_stats)
            return PostgresLibraryPool(
                database,
                clock,
                schema=name,
                folder=options.folder,
                repeated=RepeatedStatements.of(options.repeated),
                deferred=[DeferredStatements.of(each) for each in options.deferred],
                prepare=section.prepares_statements(),
            )

        return build

    return of_provider
