"""Whether others can open the links to media that this gateway makes."""

import ipaddress
from urllib.parse import urlsplit

from gateway.instances.base_urls import BaseUrl
from gateway.settings import Settings

_WANTED = "such as https://whatsapp.example.com"


def public_url_warning(settings: Settings) -> str | None:
    """What is wrong with GATEWAY_PUBLIC_URL, as one sentence; None where links can be opened.

    It may stay unset where the address that the gateway listens on is one that others can open,
    and in development on this machine. It is never a reason not to start: callbacks without
    files do not need it.
    """
    url = settings.public_url
    if url is not None:
        return None if _is_usable(url) else f"GATEWAY_PUBLIC_URL is no URL to open, {_WANTED}"
    if settings.role.serves and not _needs_public_url(settings):
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
        address = ipaddress.ip_address(settings.host)
    except ValueError:
        is_loopback, is_wildcard = settings.host == "localhost", False
    else:
        is_loopback, is_wildcard = address.is_loopback, address.is_unspecified
    return is_wildcard or (is_loopback and settings.env == "production")
