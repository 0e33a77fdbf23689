"""Handlers of the proxy of an instance.

They change the table only. The node that owns the lease is notified and reopens the session.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile

from gateway.contract.extensions.proxies import (
    ConfigureProxy,
    Health,
    Proxy,
    ProxyCheck,
    ProxyHealth,
    ProxyState,
    ProxyTest,
    ReadProxy,
    ReadProxyHealth,
    RemoveProxy,
    SetProxy,
    ShownProxy,
    SwapProxy,
    TryProxy,
)
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import AddressRefused, InvalidRequest, ProxyUnreachable, UnknownInstance
from gateway.instances.store import Instance
from gateway.instances.tokens import Sealed, TokenVault
from gateway.sessions.proxy_trial import ProxyTrials, Trial

_FIND_INSTANCE = query("instances", "find_instance")
_SET_PROXY = query("proxies", "set_proxy")
_ADD_CHECK = query("proxies", "add_check")
_LIST_CHECKS = query("proxies", "list_checks")
_MAX_CHECKS = 20


@dataclass(frozen=True, slots=True)
class _Check:
    id: int
    latency_ms: int | None
    error: str | None
    checked_at: datetime


@dataclass(frozen=True, slots=True)
class ProxyContext:
    """What these handlers work with.

    `instance` may be cached, so the proxy is read from the table. `proxying` names the providers
    whose sessions connect through a proxy.
    """

    database: Database
    vault: TokenVault
    trials: ProxyTrials
    proxying: frozenset[str]
    instance: Instance

    async def sealed(self) -> Sealed | None:
        """Reads the sealed proxy; raises UnknownInstance if the instance has been deleted."""
        instance = await self.database.fetch_one(Instance, _FIND_INSTANCE, id=self.instance.id)
        if instance is None:
            raise UnknownInstance
        return instance.sealed_proxy

    async def proxy(self) -> Proxy | None:
        return unseal_proxy(await self.sealed(), self.vault)


def unseal_proxy(sealed: Sealed | None, vault: TokenVault) -> Proxy | None:
    """Decrypts what `_write` sealed; raises InvalidSettings if no secret of the vault can."""
    return Proxy.model_validate_json(vault.open(sealed)) if sealed else None


handlers = Handlers[ProxyContext]()


@handlers.handles(SetProxy)
async def set_proxy(context: ProxyContext, operation: SetProxy) -> ShownProxy:
    proxy = Proxy(**operation.model_dump())
    if proxy != await context.proxy():  # an equal one would reopen the session for nothing
        with _refusals_explained():
            await context.trials.check(proxy.proxy_url)
        await _write(context, proxy)
    return await read_proxy(context, ReadProxy())


@handlers.handles(ConfigureProxy)
async def configure_proxy(context: ProxyContext, operation: ConfigureProxy) -> Value:
    if operation.enable and operation.proxy_url:
        await set_proxy(context, SetProxy(proxy_url=operation.proxy_url))
        return Value()
    return await remove_proxy(context, RemoveProxy())


@handlers.handles(RemoveProxy)
async def remove_proxy(context: ProxyContext, _operation: RemoveProxy) -> Value:
    if await context.sealed():
        await _write(context, None)
    return Value()


@handlers.handles(ReadProxy)
async def read_proxy(context: ProxyContext, _operation: ReadProxy) -> ShownProxy:
    return ShownProxy(proxy=(await _health(context)).proxy)


@handlers.handles(TryProxy)
async def try_proxy(context: ProxyContext, operation: TryProxy) -> ProxyTest:
    if operation.proxy_url:
        trial = await _try(context, operation.proxy_url)
    else:
        sealed = await context.sealed()
        proxy = unseal_proxy(sealed, context.vault)
        if sealed is None or proxy is None:
            raise InvalidRequest("proxyUrl: is needed while no proxy is set")
        trial = await _try(context, proxy.proxy_url)
        await _add_check(context, sealed, trial)
    return ProxyTest(reachable=trial.error is None, latency_ms=trial.latency_ms, error=trial.error)


@handlers.handles(SwapProxy)
async def swap_proxy(context: ProxyContext, operation: SwapProxy) -> ShownProxy:
    trial = await _try(context, operation.proxy_url)
    if trial.error:
        raise ProxyUnreachable(f"proxyUrl: {trial.error}")
    before = await context.proxy()
    sealed = await _write(context, Proxy(proxy_url=operation.proxy_url, **_limits(before)))
    await _add_check(context, sealed, trial)
    return await read_proxy(context, ReadProxy())


@handlers.handles(ReadProxyHealth)
async def read_proxy_health(context: ProxyContext, _operation: ReadProxyHealth) -> ProxyHealth:
    return await _health(context)


async def _try(context: ProxyContext, proxy_url: str) -> Trial:
    with _refusals_explained():
        return await context.trials.run(proxy_url, account_id=context.instance.account_id)


@contextmanager
def _refusals_explained() -> Iterator[None]:
    """Says which setting allows the address."""
    try:
        yield
    except AddressRefused as error:
        raise AddressRefused(
            f"proxyUrl: {error}: the operator of this gateway can allow it in "
            "GATEWAY_PROXY_NETWORKS"
        ) from None


async def _write(context: ProxyContext, proxy: Proxy | None) -> Sealed | None:
    sealed = context.vault.seal(proxy.model_dump_json()) if proxy else None
    if not await context.database.execute(
        _SET_PROXY,
        instance_id=context.instance.id,
        ciphertext=sealed and sealed.ciphertext,
        key_id=sealed and sealed.key_id,
    ):
        raise UnknownInstance
    return sealed


async def _add_check(context: ProxyContext, sealed: Sealed | None, trial: Trial) -> None:
    await context.database.execute(
        _ADD_CHECK,
        instance_id=context.instance.id,
        ciphertext=sealed and sealed.ciphertext,
        latency_ms=trial.latency_ms,
        error=trial.error,
        max_count=_MAX_CHECKS,
    )


async def _health(context: ProxyContext) -> ProxyHealth:
    proxy = await context.proxy()
    checks = await context.database.fetch_all(_Check, _LIST_CHECKS, instance_id=context.instance.id)
    url = proxy.shown_url if proxy else None
    state = ProxyState(
        proxy_url=url,
        proxy_enabled=proxy is not None and context.instance.provider in context.proxying,
        health_status=_status(checks[0]) if checks else "unknown",
        last_health_check=checks[0].checked_at.astimezone(UTC) if checks else None,
        health_failures=len(list(takewhile(lambda check: check.error, checks))),
        **_limits(proxy),
    )
    logs = tuple(
        ProxyCheck(
            id=check.id,
            instance_id=context.instance.id,
            proxy_url=url or "",
            status=_status(check),
            latency_ms=check.latency_ms,
            error_message=check.error,
            checked_at=check.checked_at.astimezone(UTC),
        )
        for check in checks
    )
    return ProxyHealth(proxy=state, logs=logs)


def _status(check: _Check) -> Health:
    return "unhealthy" if check.error else "healthy"


def _limits(proxy: Proxy | None) -> dict[str, bool]:
    """The switches that say what does not go through the proxy."""
    return proxy.model_dump(exclude={"proxy_url"}) if proxy else {}
