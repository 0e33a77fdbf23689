"""Uvicorn as one obedient part of the service."""

import asyncio
import errno
import socket
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from gateway.errors import StartRefused
from gateway.runtime.http_protocol import OneWriteProtocol

_PORT_IS_WRONG = {errno.EADDRINUSE, errno.EACCES}
_SILENCE_MS = 60_000


class _QuietServer(uvicorn.Server):
    """Leaves signals to the service; uvicorn would re-raise them and cut the drain short."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves an application on a socket that is bound at once, so that a taken port is an error.

    With *shared* other processes serve on the same port, and the kernel spreads connections.
    """

    def __init__(
        self,
        app: Starlette,
        *,
        host: str,
        port: int,
        drain_seconds: float,
        shared: bool = False,
        variable: str = "GATEWAY_PORT",
    ) -> None:
        with refusal_explained(host, port, variable):
            self._socket = socket.create_server(
                (host, port), backlog=2048, family=family_of(host), reuse_port=shared
            )
        _give_up_on_who_reads_nothing(self._socket)
        self._server = _QuietServer(
            uvicorn.Config(
                app,
                http=OneWriteProtocol,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                # A client that never ends leaves the other parts their half of the time.
                timeout_graceful_shutdown=max(1, int(drain_seconds / 2)),
            )
        )

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    async def run_until(self, stopping: asyncio.Event) -> None:
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]), name="uvicorn")
        stop = asyncio.create_task(stopping.wait(), name="stop uvicorn")
        try:
            await asyncio.wait({serving, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # serve() must be asked, not cancelled, or its sockets stay open.
            stop.cancel()
            self._server.should_exit = True
            await asyncio.shield(serving)


@contextmanager
def refusal_explained(host: str, port: int, variable: str = "GATEWAY_PORT") -> Iterator[None]:
    """Turns a port that cannot be had into StartRefused, which names the *variable* to change."""
    try:
        yield
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        if error.errno in _PORT_IS_WRONG:
            cure = f"set {variable} to another port"
        else:
            cure = f"set {variable.replace('PORT', 'HOST')} to an address of this machine"
        raise StartRefused(f"Cannot listen on {host}:{port} ({reason}): {cure}") from None


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _give_up_on_who_reads_nothing(listener: socket.socket) -> None:
    """Its connections inherit it: to close one does not end it while an answer is unread."""
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SILENCE_MS)
