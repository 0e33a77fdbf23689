"""Checks that receivers can open the links to media of this gateway."""

import ipaddress
from urllib.parse import urlsplit

from gateway.instances.base_urls import BaseUrl
from gateway.settings import Settings

_EXAMPLE = "such as https://whatsapp.example.com"


def public_url_warning(settings: Settings) -> str | None:
    """Says in one sentence what is wrong with GATEWAY_PUBLIC_URL; None where links work.

    It may be unset where other machines can open the address of the listener, and in development on
    this machine. The gateway starts in any case: callbacks without files do not need the URL.
    """
    url = settings.urls.public_url
    if url is not None:
        return None if _is_usable(url) else f"GATEWAY_PUBLIC_URL is not a usable URL, {_EXAMPLE}"
    if settings.process.role.serves and not _needs_public_url(settings):
        return None
    return (
        "GATEWAY_PUBLIC_URL is not set: until an authenticated request of an instance shows the "
        "address that its callers use, its links to media open on this machine only"
    )


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    without_extras = not (parts.query or parts.fragment or parts.username)
    return without_extras and BaseUrl.parse(parts.scheme, parts.netloc) is not None


def _needs_public_url(settings: Settings) -> bool:
    try:
        address = ipaddress.ip_address(settings.listener.host)
    except ValueError:
        is_loopback, is_wildcard = settings.listener.host == "localhost", False
    else:
        is_loopback, is_wildcard = address.is_loopback, address.is_unspecified
    return is_wildcard or (is_loopback and not settings.is_development)
