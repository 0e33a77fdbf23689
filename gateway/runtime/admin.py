"""Opens the administration service for a command, with a database and the secret."""

import getpass
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

from gateway.administration.admin_service import AdminService, command_line_caller
from gateway.administration.audit import Audit
from gateway.administration.payload_encryption import PayloadEncryption
from gateway.administration.provider_data import ProviderData
from gateway.administration.removal import Remover
from gateway.clock import Clock
from gateway.database.migrations import migrate
from gateway.database.pool import Database
from gateway.instances.accounts import Accounts
from gateway.instances.api_keys import ApiKeys
from gateway.instances.creation import Registry
from gateway.instances.tokens import TokenVault
from gateway.media.disk import open_private
from gateway.media.storing import place_of
from gateway.providers.loading import load_providers
from gateway.runtime.media import objects_of
from gateway.runtime.postgres import postgres_of
from gateway.runtime.progress import Progress
from gateway.runtime.provider_selection import provider_selection_of, secret_settings_of
from gateway.runtime.sealing import sealing_of
from gateway.runtime.secret import existing_secrets_of, secrets_of
from gateway.runtime.secret_check import require_matching_secret
from gateway.runtime.users import build_user_admin
from gateway.settings import Settings
from gateway.users.sign_in_links import SignInLinks
from gateway.webhooks.secrets import WebhookSecrets


def build_admin_service(
    settings: Settings, database: Database, vault: TokenVault, clock: Clock
) -> AdminService:
    """Returns the administration service on an open database, for a command or an edge."""
    audit, user = Audit(database, settings.observability.audit_days), _system_user()
    return AdminService(
        database,
        Registry(database, vault, os.urandom, secret_settings=secret_settings_of),
        Accounts(database, ApiKeys(database, clock)),
        Remover(
            database,
            clock,
            ProviderData(database, load_providers),
            lapse_seconds=settings.node.lease_seconds,
        ),
        provider_selection_of(settings),
        audit,
        WebhookSecrets(database, vault, os.urandom),
        settings.address_policy(),
        PayloadEncryption(database, settings.storage.payload_encryption),
        partial(_copy_file, settings),
        build_user_admin(database, vault, clock, audit, command_line_caller(user)),
        SignInLinks(database, os.urandom),
        user=user,
    )


async def _copy_file(settings: Settings, file_id: str, to: Path) -> bool:
    objects = objects_of(settings.media, settings.storage.data_dir)
    try:
        found = await objects.get_async(place_of(file_id))
        with open_private(to) as out:
            async for piece in found:
                out.write(piece)
    except FileNotFoundError:
        return False
    return True


def _system_user() -> str | None:
    """Returns the name of the user of this process; None where the system has none for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return None


@asynccontextmanager
async def open_admin_service(
    settings: Settings, progress: Progress, *, needs_secret: bool
) -> AsyncIterator[AdminService]:
    """Yields the service, after it migrated the database as `gateway serve` does.

    Args:
        settings: of this process.
        progress: reports slow steps.
        needs_secret: whether the secret must decrypt what the database holds, as `gateway serve`
            requires; without it the service lists and deletes, and must not encrypt or decrypt.

    Raises:
        DatabaseUnavailable: Postgres did not answer.
        StartRefused: the data directory, the secret or the embedded Postgres cannot be used.
    """
    async with postgres_of(settings, progress) as url:
        direct_url = settings.database.direct_url or url
        await migrate(direct_url, announce=progress.migrations_started)
        if needs_secret:
            await require_matching_secret(settings.storage, direct_url)
        read_secrets = secrets_of if needs_secret else existing_secrets_of
        secrets = read_secrets(settings.storage, os.urandom)
        database = Database(
            url,
            min_size=1,
            max_size=2,
            prepare=settings.database.prepares_statements(),
            statement_seconds=settings.database.statement_seconds,
            sealing=sealing_of(settings.storage, secrets) if needs_secret else None,
        )
        vault = TokenVault(secrets, os.urandom)
        await database.open()
        try:
            yield build_admin_service(settings, database, vault, Clock())
        finally:
            await database.pool.close()
