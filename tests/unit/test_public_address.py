"""Only public addresses may be visited, on every Python that the gateway supports.

`test_addresses_of_this_python` needs only the standard library: tests/long runs it with every
Python that it finds.
"""

import ipaddress
import sys

from gateway.errors import AddressRefused
from gateway.public_address import AddressPolicy

PUBLIC = (
    "8.8.8.8",
    "93.184.216.34",
    "192.0.1.1",
    "100.128.0.1",
    "172.32.0.1",
    "198.20.0.1",
    "2606:4700::6810:84e5",
    "2a00:1450:4001:81b::200e",
    "2001:200::1",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
)
NOT_PUBLIC = (
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.9",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::10.0.0.1",
    "::8.8.8.8",
    "::ffff:10.0.0.1",
    "::ffff:192.0.0.192",
    "::ffff:0:10.0.0.1",
    "64:ff9b::a00:1",
    "64:ff9b::c000:c0",
    "64:ff9b:1::a00:1",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:a00:1::1",
    "2001:1::1",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:10::1",
    "2001:20::1",
    "2001:30::1",
    "2001:db8::1",
    "2002:a00:1::",
    "2002:c000:c0::1",
    "2002:7f00:1::1",
    "2620:4f:8000::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fec0::1",
    "feff::1",
    "ff02::1",
)


def is_allowed(text: str, *allowed: str) -> bool:
    networks = tuple(ipaddress.ip_network(network) for network in allowed)
    try:
        AddressPolicy(allowed=networks).check(ipaddress.ip_address(text))
    except AddressRefused:
        return False
    return True


def test_addresses_of_this_python() -> None:
    assert [text for text in PUBLIC if not is_allowed(text)] == []
    assert [text for text in NOT_PUBLIC if is_allowed(text)] == []


def test_allowed_networks_open_wrapped_addresses_too() -> None:
    assert is_allowed("10.1.2.3", "10.1.0.0/16")
    assert is_allowed("::ffff:10.1.2.3", "10.1.0.0/16")
    assert is_allowed("fd00::1", "fd00::/8")
    assert not is_allowed("10.2.0.1", "10.1.0.0/16")
    assert not is_allowed("fe80::1", "fd00::/8")


def test_url_with_a_literal_address_is_checked_without_a_lookup() -> None:
    policy = AddressPolicy()
    for url in ("https://[fec0::1]/x", "https://192.0.0.192/x", "https://[::ffff:a00:1]:8443/"):
        try:
            policy.check_url(url)
        except AddressRefused:
            continue
        raise AssertionError(url)


if __name__ == "__main__":
    for test in (
        test_addresses_of_this_python,
        test_allowed_networks_open_wrapped_addresses_too,
        test_url_with_a_literal_address_is_checked_without_a_lookup,
    ):
        test()
    sys.stdout.write("the addresses are right\n")
