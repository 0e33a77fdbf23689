"""The Postgres of the settings: the operator's, or an embedded one."""

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
    """The embedded server of this data directory, not started.

    Raises:
        InvalidSettings: production did not ask for one, and has used none so far.
    """
    data = settings.data_dir / _FOLDER
    if settings.env == "production" and not settings.embedded_postgres and not holds_cluster(data):
        raise InvalidSettings(
            "production needs DATABASE_URL, such as postgresql://user:password@host/database; to "
            f"keep the data in an embedded Postgres below {settings.data_dir.absolute()} instead, "
            "set GATEWAY_EMBEDDED_POSTGRES=true"
        )
    return EmbeddedPostgres(data, announce=progress.embedded_postgres)


@asynccontextmanager
async def postgres_of(settings: Settings, progress: Progress) -> AsyncIterator[str]:
    """The URL of the database; an embedded one is adopted where it runs, else kept running.

    Raises:
        StartRefused: the embedded Postgres may not or cannot start.
    """
    if settings.database_url:
        yield settings.database_url
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
