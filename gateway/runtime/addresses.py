"""The addresses and the name of one process."""

import socket

from gateway.runtime.http_server import HttpServer
from gateway.settings import Settings
from gateway.settings.node_sections import ListenerSection

_MAX_HOST_NAME_LENGTH = 30
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound


def url_of(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def internal_port(listener: ListenerSection, worker: int | None) -> int:
    """Returns the internal port of a worker: the first port, plus one per worker before it.

    0, which takes any free port, stays 0.
    """
    first = listener.internal_port
    return first and first + (worker or 1) - 1


def local_url(listener: ListenerSection, public: HttpServer | None) -> str:
    """Returns the URL of the public listener for this machine, also where it listens on all."""
    host = _LOOPBACK_OF.get(listener.host, listener.host)
    return url_of(host, public.port if public else listener.port)


def internal_url(listener: ListenerSection, internal: HttpServer) -> str:
    """Returns the URL at which other nodes reach the internal listener."""
    host = listener.internal_host
    if host in _LOOPBACK_OF:
        host = socket.getfqdn()
    return listener.internal_address or url_of(host, internal.port)


def node_id_of(settings: Settings, port: int, worker: int | None) -> str:
    """Returns the name of this process among the nodes of one database."""
    host = socket.gethostname()[:_MAX_HOST_NAME_LENGTH]
    name = settings.node.name or f"{host}:{port}"
    return f"{name}/{worker}" if worker else name
