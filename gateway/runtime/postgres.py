"""Chooses the Postgres server: that of DATABASE_URL, or an embedded one."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.embedded_postgres.cluster_site import holds_cluster
from gateway.embedded_postgres.server import EmbeddedPostgres
from gateway.errors import InvalidSettings
from gateway.runtime.progress import Progress
from gateway.settings import Settings

_FOLDER = "postgres"


def embedded_postgres(settings: Settings, progress: Progress) -> EmbeddedPostgres:
    """Returns the embedded server of this data directory, not started.

    Raises:
        InvalidSettings: this is production, no setting permits an embedded server, and the data
            directory has none.
    """
    data_dir = settings.storage.data_dir
    data = data_dir / _FOLDER
    if not settings.is_development and not settings.database.embedded and not holds_cluster(data):
        raise InvalidSettings(
            "production needs DATABASE_URL, such as postgresql://user:password@host/database; to "
            f"keep the data in an embedded Postgres below {data_dir.absolute()} instead, "
            "set GATEWAY_EMBEDDED_POSTGRES=true"
        )
    return EmbeddedPostgres(data, announce=progress.embedded_postgres)


@asynccontextmanager
async def postgres_of(settings: Settings, progress: Progress) -> AsyncIterator[str]:
    """Yields the URL of the database; an embedded server runs as long as the block.

    Raises:
        StartRefused: the embedded Postgres may not or cannot start.
    """
    if settings.database.url:
        yield settings.database.url
        return
    embedded = embedded_postgres(settings, progress)
    await embedded.start()
    stopping = asyncio.Event()
    running = asyncio.create_task(embedded.run_until(stopping), name="embedded Postgres")
    try:
        yield embedded.url
    finally:
        stopping.set()
        await running
