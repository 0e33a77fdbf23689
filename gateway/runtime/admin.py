"""Opens the operator's office: a database, ours if need be, and what it takes to read tokens."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.administration.admin_service import AdminService
from gateway.administration.audit import Audit
from gateway.administration.removal import Remover
from gateway.clock import Clock
from gateway.database.embedded import EmbeddedPostgres
from gateway.database.migrations import migrate
from gateway.database.pool import Database
from gateway.instances.accounts import Accounts
from gateway.instances.creation import Registry
from gateway.instances.tokens import TokenVault
from gateway.runtime.provider_selection import provider_selection_of
from gateway.runtime.secret import secrets_of
from gateway.settings import Settings
from gateway.webhooks.secrets import WebhookSecrets


@asynccontextmanager
async def open_admin_service(settings: Settings) -> AsyncIterator[AdminService]:
    """The database is brought up to date first, as `gateway serve` does."""
    async with postgres_of(settings) as url:
        await migrate(settings.direct_database_url or url)
        database = Database(url, min_size=1, max_size=2, prepare=settings.prepares_statements())
        vault = TokenVault(secrets_of(settings, os.urandom), os.urandom)
        await database.open()
        try:
            yield AdminService(
                database,
                Registry(database, vault, os.urandom),
                Accounts(database),
                Remover(database, Clock(), lapse_seconds=settings.lease_seconds),
                provider_selection_of(settings),
                Audit(database, settings.audit_days),
                WebhookSecrets(database, vault, os.urandom),
                settings.address_policy(),
            )
        finally:
            await database.pool.close()


@asynccontextmanager
async def postgres_of(settings: Settings) -> AsyncIterator[str]:
    """The URL of the database; an embedded one is adopted where it runs, else kept running."""
    if settings.database_url:
        yield settings.database_url
        return
    embedded = EmbeddedPostgres(settings.data_dir / "postgres")
    await embedded.start()
    stopping = asyncio.Event()
    running = asyncio.create_task(embedded.run_until(stopping), name="embedded Postgres")
    try:
        yield embedded.url
    finally:
        stopping.set()
        await running
