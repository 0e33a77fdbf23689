"""Finds the base URL with which a caller reached the gateway."""

from collections.abc import Sequence

from starlette.requests import Request

from gateway.api.client_address import Network, is_from_proxy
from gateway.instances.base_urls import BaseUrl

_SCHEMES = frozenset({"http", "https"})


def base_url_of(request: Request, trusted: Sequence[Network]) -> BaseUrl | None:
    """Returns the base URL of a request; None if it names no usable host.

    X-Forwarded-Host and X-Forwarded-Proto count only if a trusted proxy sent the request. A proxy
    may append to the value of its caller, so the last value is the one that the proxy wrote.
    """
    hosts = request.headers.getlist("host")
    scheme, host = request.scope["scheme"], hosts[0] if len(hosts) == 1 else ""
    if trusted and is_from_proxy(request, trusted):
        host = _last(request, "x-forwarded-host") or host
        forwarded = _last(request, "x-forwarded-proto").lower()
        scheme = forwarded if forwarded in _SCHEMES else scheme
    return BaseUrl.parse(scheme, host)


def _last(request: Request, header: str) -> str:
    """Returns the last value of a header that may be repeated or hold a list."""
    values = request.headers.getlist(header)
    return values[-1].rpartition(",")[2].strip() if values else ""
