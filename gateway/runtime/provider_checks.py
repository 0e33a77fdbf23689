"""The checks of `gateway doctor` for each provider: its store and its servers."""

from collections.abc import AsyncIterator, Collection, Mapping
from urllib.request import getproxies

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.provider_store import PostgresProviderStore
from gateway.errors import InvalidSettings, StartRefused
from gateway.observability.metrics import Metrics
from gateway.providers.loading import load_provider
from gateway.runtime.finding import Finding
from gateway.runtime.library_pools import library_pools
from gateway.runtime.provider_selection import enabled_providers, provider_selection_of
from gateway.sessions.provider import Provider, ProviderContext
from gateway.sessions.reachability import network_fault
from gateway.settings import Settings

_NO_DATABASE = "postgresql://"


def provider_context_of(
    name: str, settings: Settings, environment: Mapping[str, str], url: str = _NO_DATABASE
) -> ProviderContext:
    """Returns the context of an engine that is only checked: its pool stays closed."""
    clock = Clock()
    return ProviderContext(
        environment=environment,
        data_dir=settings.storage.data_dir,
        clock=clock,
        store=PostgresProviderStore(Database(url), Notifications(url, clock), provider=name),
        library_pool=library_pools(url, settings.database, clock, Metrics())(name),
    )


async def check_providers(
    settings: Settings, environment: Mapping[str, str], url: str, in_use: Collection[str]
) -> AsyncIterator[Finding]:
    """Checks what sessions need.

    It connects to the servers only of providers that instances use or get by default: a machine
    for development may have no connection to WhatsApp. An opt-in that no instance uses needs
    nothing.
    """
    needed = {*in_use, _default_of(settings)}
    for name in enabled_providers(settings):
        provider = load_provider(name)
        if name in needed or not provider.is_opt_in:
            context = provider_context_of(name, settings, environment, url)
            if finding := await _store(provider, context):
                yield finding
        for host, port in provider.hosts if name in needed else ():
            yield await _server(provider, host, port)


def _default_of(settings: Settings) -> str | None:
    try:
        return provider_selection_of(settings).default
    except InvalidSettings:  # another check reports it
        return None


async def _store(provider: Provider, provider_context: ProviderContext) -> Finding | None:
    subject = f"store of {provider.name}"
    try:
        opened = await provider.try_store(provider_context)
    except StartRefused as error:
        reason = str(error).rstrip(".")
        return Finding(subject, reason, "correct this, and run `gateway doctor` again")
    return Finding(subject, opened) if opened else None


async def _server(provider: Provider, host: str, port: int) -> Finding:
    subject = f"network of {provider.name}"
    proxy_url = getproxies().get("https")
    fault = await network_fault(host, port, proxy_url=proxy_url)
    if fault is None:
        return Finding(subject, f"{host}:{port} answers")
    problem, _, cure = fault.sentence(host, port).partition(": ")
    return Finding(subject, problem, cure)
