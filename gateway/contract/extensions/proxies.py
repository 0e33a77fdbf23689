"""The proxy through which the session of an instance reaches WhatsApp."""

import ipaddress
import re
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from gateway.contract.documented import Example
from gateway.contract.operation import AuditedState, Operation, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Incoming, OmitIfNone, Wire
from gateway.contract.zapi.partner import PartnerOperation

_UNREACHABLE = 422
_MAX_URL_LENGTH = 2_048
_MAX_PORT = 65_535
_ENCODED = r"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2}){0,255}"
_LABEL = r"[A-Za-z0-9_-]{1,63}"
_PROXY = re.compile(
    rf"(?i:https?|socks5)://(?:{_ENCODED}(?::{_ENCODED})?@)?"
    rf"(?:{_LABEL}(?:\.{_LABEL})*\.?|\[(?P<ipv6>[0-9A-Fa-f:.]+)\]):(?P<port>[0-9]{{1,5}})/?"
)
_PASSWORD = re.compile(r"(?<=:)[^:@/]*(?=@)")


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _a_proxy(url: str) -> str:
    """Checks the URL; the error text leaves it out, because it may contain a password."""
    found = _PROXY.fullmatch(url)
    if found is None or not _is_ipv6(found["ipv6"] or "::"):
        raise PydanticCustomError(
            "invalid_proxy",
            "must look like http://host:port, https://host:port or socks5://host:port; "
            "user:password@ may stand before the host, percent-encoded",
        )
    if not 0 < int(found["port"]) <= _MAX_PORT:
        raise PydanticCustomError("invalid_proxy", "must name a port from 1 to 65535")
    return url


ProxyUrl = Annotated[str, Field(max_length=_MAX_URL_LENGTH), AfterValidator(_a_proxy)]
"""The form only: the gateway checks whether the address is public or in GATEWAY_PROXY_NETWORKS."""


def _needed_if_enabled(url: str | None, info: ValidationInfo) -> str | None:
    if url is None and info.data.get("enable"):
        raise PydanticCustomError("missing", "is required")
    return url


class Proxy(Incoming):
    """The proxy of a session, and what goes through it.

    Attributes:
        proxy_url: http, https or socks5, with its port; may hold a user name and password.
        no_websocket: the connection to WhatsApp goes past it.
        only_login: used until a phone is linked.
        no_media: files go past it.
    """

    proxy_url: ProxyUrl = Field(repr=False)
    no_websocket: bool = False
    only_login: bool = False
    no_media: bool = False

    @property
    def shown_url(self) -> str:
        """The URL with its password masked."""
        return _PASSWORD.sub("***", self.proxy_url)


Health = Literal["healthy", "unhealthy", "unknown"]


class ProxyState(Wire):
    """The proxy, its password masked; `proxyEnabled` is false where the provider uses none.

    The health is the result of the latest tests; `healthFailures` counts failures in a row.
    """

    proxy_url: str | None
    proxy_enabled: bool
    health_status: Health
    last_health_check: datetime | None
    health_failures: int
    no_websocket: bool = False
    only_login: bool = False
    no_media: bool = False


class ShownProxy(Wire):
    """The proxy of an instance."""

    value: bool = True
    proxy: ProxyState


_STATE: Example = {
    "proxyUrl": "http://user:***@proxy.example.com:8080",
    "proxyEnabled": True,
    "healthStatus": "healthy",
    "lastHealthCheck": "2026-01-01T00:00:00Z",
    "healthFailures": 0,
    "noWebsocket": False,
    "onlyLogin": False,
    "noMedia": False,
}
_SHOWN: Example = {"value": True, "proxy": _STATE}


class SetProxy(Proxy, Operation[ShownProxy], method="PUT", path="/update-proxy"):
    """Sets the proxy of the instance's connection to WhatsApp.

    An open session is opened again after the message in flight is answered: the phone stays
    linked and the queue continues. The proxy is not tested first. Its address must be public, or
    in a network that the operator allows. The URL is stored encrypted.
    """

    scope = ApiScope.MANAGE
    audited_state = AuditedState.INSTANCE
    example: ClassVar[Example] = {
        "proxyUrl": "http://user:password@proxy.example.com:8080",
        "noWebsocket": False,
        "onlyLogin": False,
        "noMedia": False,
    }
    example_minimal: ClassVar[Example] = {"proxyUrl": "http://proxy.example.com:8080"}
    answer_example: ClassVar[Any] = _SHOWN


def _without_proxy(value: object) -> object:
    return None if value == "" else value


class ConfigureProxy(PartnerOperation[Value], method="PUT", path="/integrator/configure-proxy"):
    """Sets the proxy as `PUT /update-proxy` does; with `enable` false, removes it."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.INSTANCE
    refuses_unknown = False
    unconfirmed = ("/integrator/configure-proxy",)
    example: ClassVar[Example] = {
        "enable": True,
        "proxyUrl": "http://user:password@proxy.example.com:8080",
    }
    example_minimal: ClassVar[Example] = {"enable": False}
    answer_example: ClassVar[Any] = {"value": True}

    enable: bool
    proxy_url: Annotated[
        ProxyUrl | None, BeforeValidator(_without_proxy), AfterValidator(_needed_if_enabled)
    ] = Field(None, repr=False, description="required to enable", validate_default=True)


class ReadProxy(Operation[ShownProxy], method="GET", path="/proxy"):
    """The proxy of the instance and the result of its latest tests."""

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = _SHOWN


class RemoveProxy(Operation[Value], method="DELETE", path="/proxy"):
    """Removes the proxy; the session connects as the environment of the gateway defines."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.INSTANCE
    answer_example: ClassVar[Any] = {"value": True}


class ProxyTest(Wire):
    """Whether WhatsApp was reached, with `latencyMs` or `error`."""

    reachable: bool
    latency_ms: int | None = OmitIfNone
    error: str | None = OmitIfNone


class TryProxy(Operation[ProxyTest], method="POST", path="/proxy/test"):
    """Opens a connection to WhatsApp through a proxy, and changes nothing.

    Without `proxyUrl` it is the proxy of the instance, whose health then follows. An account may
    run a few tests per minute.
    """

    scope = ApiScope.MANAGE
    example: ClassVar[Example] = {"proxyUrl": "http://proxy.example.com:8080"}
    answer_example: ClassVar[Any] = {"reachable": True, "latencyMs": 120}

    proxy_url: ProxyUrl | None = Field(None, repr=False)


class SwapProxy(Operation[ShownProxy], method="POST", path="/proxy/swap"):
    """Replaces the proxy, if WhatsApp can be reached through the new one."""

    scope = ApiScope.MANAGE
    audited_state = AuditedState.INSTANCE
    example: ClassVar[Example] = {"proxyUrl": "socks5://new-proxy.example.com:1080"}
    answer_example: ClassVar[Any] = _SHOWN
    failures = (_UNREACHABLE,)

    proxy_url: ProxyUrl = Field(repr=False)


class ProxyCheck(Wire):
    """One test of the proxy that is set."""

    id: int
    instance_id: str
    proxy_url: str
    status: Health
    latency_ms: int | None
    error_message: str | None
    checked_at: datetime


class ProxyHealth(Wire):
    """The proxy and its tests, the latest first."""

    proxy: ProxyState
    logs: tuple[ProxyCheck, ...]


class ReadProxyHealth(Operation[ProxyHealth], method="GET", path="/proxy/health"):
    """The result of the latest tests; only a test route or a change runs a test."""

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = {
        "proxy": _STATE,
        "logs": [
            {
                "id": 1,
                "instanceId": "3C67AB641C8AA0412F6A2242B4E23AC7",
                "proxyUrl": "http://user:***@proxy.example.com:8080",
                "status": "healthy",
                "latencyMs": 120,
                "errorMessage": None,
                "checkedAt": "2026-01-01T00:00:00Z",
            }
        ],
    }
