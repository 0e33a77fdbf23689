"""Warns of proxies that were stored before their addresses were checked, and are not allowed."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from gateway.database.queries import query
from gateway.errors import AddressRefused, InvalidSettings
from gateway.instances.tokens import Sealed, TokenVault
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop
from gateway.public_address import AddressPolicy
from gateway.runtime.node_context import NodeContext
from gateway.runtime.supervisor import Stage
from gateway.sessions.proxies import unseal_proxy

LIST_PROXIES = query("proxies", "list_proxies")

_EVERY_SECONDS = 86_400.0
_LOOKUP_SECONDS = 5.0
_MAX_LOOKUPS = 16
MAX_NAMES = 20


@dataclass(frozen=True, slots=True)
class StoredProxy:
    """The sealed proxy of an instance."""

    instance_id: str
    ciphertext: bytes
    key_id: str


async def refused_proxies(
    stored: Sequence[StoredProxy], vault: TokenVault, policy: AddressPolicy
) -> list[str]:
    """Returns the ids of instances whose proxy is at an address that the policy refuses.

    A name without an address now, and a proxy that the vault cannot decrypt, are left out.
    """
    instances = dict[SplitResult, list[str]]()
    for proxy in stored:
        if url := _url_of(proxy, vault):
            server = url._replace(scheme="", netloc=url.netloc.rpartition("@")[2], path="")
            instances.setdefault(server, []).append(proxy.instance_id)
    lookups = asyncio.Semaphore(_MAX_LOOKUPS)

    async def is_refused(server: SplitResult) -> bool:
        assert server.hostname
        assert server.port
        try:
            async with lookups, asyncio.timeout(_LOOKUP_SECONDS):
                await policy.resolve(server.hostname, server.port)
        except AddressRefused:
            return True
        except OSError:
            return False
        return False

    refused = await asyncio.gather(*map(is_refused, instances))
    pairs = zip(instances.values(), refused, strict=True)
    return sorted(name for names, is_one in pairs if is_one for name in names)


def start_proxy_warning(node: NodeContext) -> None:
    """Logs a warning at each start, and once a day, where sessions run."""

    async def step() -> float:
        stored = await node.database.fetch_all(StoredProxy, LIST_PROXIES)
        if refused := await refused_proxies(stored, node.vault, node.proxy_policy):
            logger.warning(
                "proxy_address_not_allowed",
                instances=refused[:MAX_NAMES],
                count=len(refused),
                consequence="these proxies go on working; they cannot be tested or set again "
                "unless GATEWAY_PROXY_NETWORKS names their networks",
            )
        return _EVERY_SECONDS

    loop = PeriodicLoop("proxy addresses", step, node.clock)
    node.start_if_sending(Stage.SENDERS, proxy_warning=loop)


def _url_of(stored: StoredProxy, vault: TokenVault) -> SplitResult | None:
    try:
        proxy = unseal_proxy(Sealed(stored.key_id, stored.ciphertext), vault)
    except InvalidSettings:
        return None
    return urlsplit(proxy.proxy_url) if proxy else None
