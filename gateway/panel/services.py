"""What the panel needs from the rest of the gateway, which the runtime hands in."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from starlette.requests import HTTPConnection, Request

from gateway.administration.profile import Profiles
from gateway.clock import Clock
from gateway.contract.wire import Wire
from gateway.media.stored_links import StoredFiles
from gateway.operations.services import Services
from gateway.panel.live import LiveHub
from gateway.panel.recent_answers import RecentAnswers
from gateway.panel.request_limits import PanelLimits
from gateway.randomness import RandomBytes
from gateway.send_queue.admission import Admission


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
class ProviderFacts:
    """What pages say of a provider; `scan` links the simulated phone of an instance, by its id.

    `scan` is None where the phones are real ones.
    """

    name: str
    uses_proxy: bool
    supports: Callable[[type[Wire]], bool]
    scan: Callable[[str], Awaitable[None]] | None = None

    @property
    def is_simulated(self) -> bool:
        return self.scan is not None


@dataclass(frozen=True, slots=True)
class PanelServices:
    """What pages use once the gateway is ready; `providers` are those of new instances, by name."""

    gateway: Services
    profiles: Profiles
    live: LiveHub
    admission: Admission
    files: StoredFiles
    providers: Mapping[str, ProviderFacts]
    default_provider: str | None
    recent: RecentAnswers


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
