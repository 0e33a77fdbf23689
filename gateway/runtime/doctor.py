"""Checks everything that the gateway needs, and says in one sentence how to cure a problem."""

import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from psycopg import AsyncConnection, errors

from gateway.database.direct import direct_connection, is_read_only
from gateway.database.functions import missing_functions, sql_functions
from gateway.database.migrations import migrations
from gateway.database.pool import fetch_all
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, InvalidSettings, StartRefused
from gateway.instances.tokens import TokenVault
from gateway.providers.loading import load_provider
from gateway.runtime.finding import Finding
from gateway.runtime.kafka_check import kafka_accounts_finding, kafka_finding
from gateway.runtime.payload_keys import payload_key_findings
from gateway.runtime.postgres import postgres_of
from gateway.runtime.progress import Progress
from gateway.runtime.provider_checks import check_providers, provider_context_of
from gateway.runtime.provider_selection import enabled_providers, provider_selection_of
from gateway.runtime.proxy_warning import LIST_PROXIES, MAX_NAMES, StoredProxy, refused_proxies
from gateway.runtime.public_url import public_url_warning
from gateway.runtime.secret import has_secret, secrets_of
from gateway.runtime.secret_check import find_secret_problem
from gateway.settings import Settings
from gateway.settings.node_sections import StorageSection

_LIST_APPLIED = query("migrations", "list_applied")
_PROVIDERS_IN_USE = query("instances", "count_instances_by_provider")

_OLDEST_POSTGRES = 14
_MIN_FREE_BYTES = 512 * 1024**2


@dataclass(frozen=True, slots=True)
class _Applied:
    number: int
    compatible_with: int


@dataclass(frozen=True, slots=True)
class _InUse:
    provider: str
    instances: int


async def examine(
    settings: Settings, environment: Mapping[str, str], progress: Progress
) -> AsyncIterator[Finding]:
    """Yields each finding as soon as it is known."""
    yield Finding("settings", "every variable is known and valid")
    yield _public_url(settings)
    yield _data_dir(settings.storage.data_dir)
    for finding in _providers(settings, environment):
        yield finding
    yield await kafka_finding(settings.kafka)
    try:
        async with postgres_of(settings, progress) as url:
            async for finding in _database(settings, environment, url):
                yield finding
    except InvalidSettings as error:
        yield Finding("database", "none is configured", str(error))
    except StartRefused as error:
        yield Finding("database", "the embedded Postgres does not start", str(error).rstrip("."))


def _public_url(settings: Settings) -> Finding:
    warning = public_url_warning(settings)
    if warning is None:
        return Finding("public URL", "links to media can be opened")
    return Finding(
        "public URL",
        warning,
        "set GATEWAY_PUBLIC_URL to the URL at which callers reach this gateway",
        is_warning=True,
    )


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
            "free some space, or set GATEWAY_DATA_DIR to a folder on another disk",
        )
    return Finding("data folder", f"{folder} has {megabytes} MB left")


def _providers(settings: Settings, environment: Mapping[str, str]) -> list[Finding]:
    found = []
    names = enabled_providers(settings)
    if not names:
        found.append(
            Finding(
                "providers",
                "none is installed, and a simulated one is for development only",
                "install a provider, or set GATEWAY_ENV=development to use a simulated one",
            )
        )
    try:
        provider_selection_of(settings)
    except InvalidSettings as error:
        found.append(Finding("providers", str(error), "set GATEWAY_PROVIDER to an installed one"))
    for name in names:
        try:
            _start(name, settings, environment)
        except StartRefused as error:
            found.append(
                Finding(f"provider {name}", str(error).rstrip("."), "correct this setting")
            )
        else:
            found.append(Finding(f"provider {name}", "it can be used"))
    return found


def _start(name: str, settings: Settings, environment: Mapping[str, str]) -> None:
    """Builds the engine, which reads its settings; nothing runs."""
    load_provider(name).start(provider_context_of(name, settings, environment))


async def _database(
    settings: Settings, environment: Mapping[str, str], url: str
) -> AsyncIterator[Finding]:
    direct = settings.database.direct_url
    for name, each in (("database", url), ("direct database", direct)):
        if each is None:
            continue
        variable = "DATABASE_URL" if name == "database" else "GATEWAY_DIRECT_DATABASE_URL"
        try:
            async with direct_connection(each) as connection:
                yield _version(name, connection)
                if await is_read_only(connection):
                    yield _read_only(name, variable)
                if settings.database.url is None:
                    yield await _location(connection)
                if name == "database":
                    async for finding in _contents(settings, environment, url, connection):
                        yield finding
        except DatabaseUnavailable as error:
            yield Finding(name, str(error), f"start Postgres, or correct {variable}")
            return


def _read_only(name: str, variable: str) -> Finding:
    return Finding(
        name,
        "Postgres is read-only: it is a standby, its disk is full, or it was set so",
        f"make it writable, or let {variable} name every server, with "
        "target_session_attrs=read-write",
    )


def _version(name: str, connection: AsyncConnection) -> Finding:
    version = connection.info.server_version // 10_000
    if version < _OLDEST_POSTGRES:
        return Finding(
            name, f"it is Postgres {version}", f"use Postgres {_OLDEST_POSTGRES} or newer"
        )
    return Finding(name, f"Postgres {version} answers")


async def _location(connection: AsyncConnection) -> Finding:
    """Reports the folder of the embedded cluster, which may be outside the data directory.

    It is outside where the user who runs Postgres cannot enter the data directory.
    """
    cursor = await connection.execute("show data_directory")
    row = await cursor.fetchone()
    return Finding("database", f"its data is in {row[0] if row else 'an unknown folder'}")


async def _contents(
    settings: Settings,
    environment: Mapping[str, str],
    url: str,
    connection: AsyncConnection,
) -> AsyncIterator[Finding]:
    try:
        applied = {row.number: row for row in await fetch_all(connection, _Applied, _LIST_APPLIED)}
    except errors.UndefinedTable:
        applied = {}
    schema = _schema(settings, applied)
    yield schema
    if not applied or schema.cure:
        return
    yield await _functions(connection)
    yield await _secret(settings.storage, connection)
    for finding in await payload_key_findings(settings.storage, connection):
        yield finding
    in_use = await fetch_all(connection, _InUse, _PROVIDERS_IN_USE)
    yield _providers_of_instances(settings, in_use)
    yield await _proxies(settings, connection)
    for finding in await kafka_accounts_finding(settings.kafka, connection):
        yield finding
    names = {row.provider for row in in_use}
    async for finding in check_providers(settings, environment, url, names):
        yield finding


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
    if not applied and settings.database.url is None:
        return Finding("migrations", "the first `gateway serve` applies them")
    numbers = ", ".join(f"{number:04}" for number in missing)
    return Finding("migrations", f"{numbers} are missing", "run `gateway migrate`")


async def _functions(connection: AsyncConnection) -> Finding:
    names = await missing_functions(connection)
    if not names:
        return Finding("SQL functions", f"all {len(sql_functions())} are there")
    return Finding("SQL functions", f"missing: {', '.join(names)}", "run `gateway migrate`")


async def _secret(storage: StorageSection, connection: AsyncConnection) -> Finding:
    problem, used = await find_secret_problem(storage, connection)
    if problem:
        return Finding("secret key", problem.sentence, problem.cure)
    return Finding("secret key", "it decrypts every token" if used else "no token is stored yet")


async def _proxies(settings: Settings, connection: AsyncConnection) -> Finding:
    stored = await fetch_all(connection, StoredProxy, LIST_PROXIES)
    if not stored or not has_secret(settings.storage):
        return Finding("proxies", "no instance has one")
    vault = TokenVault(secrets_of(settings.storage, os.urandom), os.urandom)
    refused = await refused_proxies(stored, vault, settings.proxy_policy())
    if not refused:
        return Finding("proxies", "their addresses are allowed")
    names = ", ".join(refused[:MAX_NAMES]) + (", ..." if len(refused) > MAX_NAMES else "")
    return Finding(
        "proxies",
        f"some are at addresses that are not public ({names}); they go on working",
        "name their networks in GATEWAY_PROXY_NETWORKS, so that they can be tested and set again",
        is_warning=True,
    )


def _providers_of_instances(settings: Settings, in_use: Sequence[_InUse]) -> Finding:
    enabled = enabled_providers(settings)
    without_provider = [row for row in in_use if row.provider not in enabled]
    if not without_provider:
        return Finding("instances", "the provider of each is installed")
    which = ", ".join(f"{row.instances} with {row.provider}" for row in without_provider)
    return Finding(
        "instances",
        f"some have a provider that is not installed ({which})",
        "install that provider, or delete them with `gateway instances delete`",
    )
