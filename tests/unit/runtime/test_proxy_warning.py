"""Proxies that were stored before their addresses were checked are found at start."""

import os
from ipaddress import IPv4Network

from gateway.contract.extensions.proxies import Proxy
from gateway.instances.tokens import TokenVault
from gateway.public_address import AddressPolicy
from gateway.runtime.proxy_warning import StoredProxy, refused_proxies

VAULT = TokenVault(("a secret of thirty-two characters",), os.urandom)
OTHER_VAULT = TokenVault(("another secret of many characters",), os.urandom)


def stored(instance_id: str, url: str, vault: TokenVault = VAULT) -> StoredProxy:
    sealed = vault.seal(Proxy(proxy_url=url).model_dump_json())
    return StoredProxy(instance_id, sealed.ciphertext, sealed.key_id)


async def test_refused_proxies_are_those_of_private_networks() -> None:
    proxies = [
        stored("a", "http://user:secret@10.0.0.1:8080"),
        stored("b", "socks5://8.8.8.8:1080"),
        stored("c", "http://10.0.0.1:8080"),
        stored("d", "http://[fec0::1]:8080"),
        stored("e", "http://192.168.1.1:8080"),
        stored("unreadable", "http://10.0.0.1:8080", OTHER_VAULT),
    ]
    allowed = AddressPolicy(allowed=(IPv4Network("192.168.0.0/16"),))

    assert await refused_proxies(proxies, VAULT, allowed) == ["a", "c", "d"]
    assert await refused_proxies([], VAULT, allowed) == []
