"""What the panel needs from the rest of the gateway, which the runtime hands in."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import HTTPConnection, Request

from gateway.administration.profile import Profiles
from gateway.clock import Clock
from gateway.operations.services import Services
from gateway.panel.live import LiveHub
from gateway.panel.request_limits import PanelLimits
from gateway.randomness import RandomBytes


@dataclass(frozen=True, slots=True)
class RequestOrigin:
    """How the panel learns where a request is from; trusted proxies are taken into account.

    `address_of` returns the IP address, `base_url_of` the URL with which the browser reached the
    gateway, `is_from_this_machine` whether no proxy forwarded a request of this machine.
    """

    address_of: Callable[[HTTPConnection], str | None]
    base_url_of: Callable[[Request], str | None]
    is_from_this_machine: Callable[[HTTPConnection], bool]


@dataclass(frozen=True, slots=True)
class PanelServices:
    """What pages use once the gateway is ready."""

    gateway: Services
    profiles: Profiles
    live: LiveHub


@dataclass(frozen=True, slots=True, kw_only=True)
class PanelContext:
    """What the panel has from the start on; `services` returns None until the gateway is ready."""

    services: Callable[[], PanelServices | None]
    origin: RequestOrigin
    clock: Clock
    random_bytes: RandomBytes
    limits: PanelLimits
    patience_seconds: float
    has_docs: bool
