"""Looks at everything the gateway needs; for what is wrong, says in one sentence how to cure it."""

import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from psycopg import AsyncConnection, OperationalError, errors

from gateway.clock import Clock
from gateway.database.migrations import migrations
from gateway.database.notifications import Notifications
from gateway.database.pool import Database, fetch_all
from gateway.database.provider_store import PostgresProviderStore
from gateway.database.queries import query
from gateway.errors import InvalidSettings, StartRefused
from gateway.instances.tokens import Sealed, TokenVault
from gateway.providers import load_provider
from gateway.runtime.admin import postgres_of
from gateway.runtime.provider_selection import enabled_providers, provider_selection_of
from gateway.runtime.secret import has_secret, secrets_of
from gateway.sessions.provider import ProviderContext
from gateway.settings import Settings

_LIST_APPLIED = query("migrations", "list_applied")
_KEYS_IN_USE = query("instances", "keys_in_use")
_PROVIDERS_IN_USE = query("instances", "providers_in_use")

_OLDEST_POSTGRES = 14
_MIN_FREE_BYTES = 512 * 1024**2


@dataclass(frozen=True, slots=True)
class Finding:
    """What was looked at and how it is; with a cure where something is wrong."""

    subject: str
    sentence: str
    cure: str | None = None

    def __str__(self) -> str:
        mark = "ok" if self.cure is None else "!!"
        cure = "" if self.cure is None else f" Cure: {self.cure}."
        return f"{mark} {self.subject}: {self.sentence}.{cure}"


@dataclass(frozen=True, slots=True)
class _Applied:
    number: int
    compatible_with: int


@dataclass(frozen=True, slots=True)
class _Key:
    token_key_id: str
    tokens: int
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class _InUse:
    provider: str
    instances: int


async def examine(settings: Settings, environment: Mapping[str, str]) -> AsyncIterator[Finding]:
    """Each finding as soon as it is known."""
    yield Finding("settings", "every variable is known and makes sense")
    yield _data_dir(settings.data_dir)
    for finding in _providers(settings, environment):
        yield finding
    try:
        async with postgres_of(settings) as url:
            async for finding in _database(settings, url):
                yield finding
    except StartRefused as error:
        yield Finding("database", "the embedded Postgres does not start", str(error).rstrip("."))


def _data_dir(folder: Path) -> Finding:
    nearest = next(p for p in (folder, *folder.absolute().parents) if p.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        return Finding(
            "data folder",
            f"{nearest} cannot be written to",
            "give this user a folder of its own, named by GATEWAY_DATA_DIR",
        )
    free = shutil.disk_usage(nearest).free
    megabytes = free // 1024**2
    if free < _MIN_FREE_BYTES:
        return Finding(
            "data folder",
            f"only {megabytes} MB are left on the disk of {folder}",
            "make room on that disk, or set GATEWAY_DATA_DIR to a folder on another",
        )
    return Finding("data folder", f"{folder} has {megabytes} MB left")


def _providers(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    found = []
    names = enabled_providers(settings)
    if not names:
        found.append(
            Finding(
                "providers",
                "there is none, as the sandbox is for development only",
                "install a provider, or set GATEWAY_ENV=development to try the sandbox",
            )
        )
    try:
        provider_selection_of(settings)
    except InvalidSettings as error:
        found.append(Finding("providers", str(error), "set GATEWAY_PROVIDER to one that is there"))
    for name in names:
        try:
            _start(name, settings, environment)
        except StartRefused as error:
            found.append(
                Finding(f"provider {name}", str(error).rstrip("."), "change what is named there")
            )
        else:
            found.append(Finding(f"provider {name}", "it can be used"))
    return found


def _start(name: str, settings: Settings, environment: Mapping[str, str]) -> None:
    """Builds the engine, which reads its settings, but runs nothing."""
    nowhere, clock = "postgresql://", Clock()
    store = PostgresProviderStore(Database(nowhere), Notifications(nowhere, clock), room=name)
    load_provider(name).start(
        ProviderContext(
            environment=environment, data_dir=settings.data_dir, clock=clock, store=store
        )
    )


async def _database(settings: Settings, url: str) -> AsyncIterator[Finding]:
    direct = settings.direct_database_url
    for name, each in (("database", url), ("direct database", direct)):
        if each is None:
            continue
        try:
            connection = await AsyncConnection.connect(each, autocommit=True, connect_timeout=5)
        except OperationalError as error:
            reason = str(error).strip().partition("\n")[0].rstrip(".")
            variable = "DATABASE_URL" if name == "database" else "GATEWAY_DIRECT_DATABASE_URL"
            yield Finding(
                name, f"Postgres does not answer ({reason})", f"start it, or correct {variable}"
            )
            return
        async with connection:
            yield _version(name, connection)
            if name == "database":
                async for finding in _contents(settings, connection):
                    yield finding


def _version(name: str, connection: AsyncConnection) -> Finding:
    version = connection.info.server_version // 10_000
    if version < _OLDEST_POSTGRES:
        return Finding(
            name, f"it is Postgres {version}", f"use Postgres {_OLDEST_POSTGRES} or newer"
        )
    return Finding(name, f"Postgres {version} answers")


async def _contents(settings: Settings, connection: AsyncConnection) -> AsyncIterator[Finding]:
    try:
        applied = {row.number: row for row in await fetch_all(connection, _Applied, _LIST_APPLIED)}
    except errors.UndefinedTable:
        applied = {}
    schema = _schema(settings, applied)
    yield schema
    if not applied or schema.cure:
        return
    yield await _secret(settings, connection)
    yield await _providers_in_use(settings, connection)


def _schema(settings: Settings, applied: Mapping[int, _Applied]) -> Finding:
    known = [migration.number for migration in migrations()]
    newest = known[-1]
    if any(row.number > newest and row.compatible_with > newest for row in applied.values()):
        return Finding(
            "migrations", "the database is newer than this program", "run a newer gateway"
        )
    missing = [number for number in known if number not in applied]
    if not missing:
        return Finding("migrations", f"all {len(known)} are applied")
    if not applied and settings.database_url is None:
        return Finding("migrations", "the first `gateway serve` applies them")
    numbers = ", ".join(f"{number:04}" for number in missing)
    return Finding("migrations", f"{numbers} are missing", "run `gateway migrate`")


async def _secret(settings: Settings, connection: AsyncConnection) -> Finding:
    keys = await fetch_all(connection, _Key, _KEYS_IN_USE)
    if keys and not has_secret(settings):
        return Finding(
            "secret key",
            f"{settings.data_dir / 'secret.key'} is gone, and with it the key to all tokens",
            "put the file back, or its text into GATEWAY_SECRET_KEY",
        )
    if not keys:
        return Finding("secret key", "there is nothing to decrypt yet")
    vault = TokenVault(secrets_of(settings, os.urandom), os.urandom)
    lost = 0
    for key in keys:
        try:
            vault.open(Sealed(key.token_key_id, key.ciphertext))
        except InvalidSettings:
            lost += key.tokens
    if lost:
        return Finding(
            "secret key",
            f"it cannot decrypt the tokens of {lost} instances",
            "add the earlier secret to GATEWAY_SECRET_KEY, after a comma",
        )
    return Finding("secret key", "it decrypts every token")


async def _providers_in_use(settings: Settings, connection: AsyncConnection) -> Finding:
    offered = enabled_providers(settings)
    stranded = [
        row
        for row in await fetch_all(connection, _InUse, _PROVIDERS_IN_USE)
        if row.provider not in offered
    ]
    if not stranded:
        return Finding("instances", "the provider of each is there")
    which = ", ".join(f"{row.instances} with {row.provider}" for row in stranded)
    return Finding(
        "instances",
        f"some have a provider that is not offered here ({which})",
        "install that provider, or delete them with `gateway instances delete`",
    )
