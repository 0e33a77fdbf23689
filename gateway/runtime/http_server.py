"""Runs uvicorn as a part that the supervisor stops."""

import asyncio
import errno
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette

from gateway.errors import StartRefused
from gateway.observability.metrics import Metrics
from gateway.runtime.guarded_protocol import GuardedProtocol
from gateway.runtime.guarded_socket import GuardedSocket
from gateway.runtime.http_connections import ConnectionLimits, ConnectionRegister

_PORT_ERRORS = {errno.EADDRINUSE, errno.EACCES}
_UNACKNOWLEDGED_MS = 60_000
_PING_SECONDS = 20.0
_TICK_SECONDS = 1.0
_MAX_FRAME_BYTES = 1_024  # a follower of events has nothing to say


class _QuietServer(uvicorn.Server):
    """Leaves signals to `gateway.runtime.service`: uvicorn raises them again and ends the drain."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._ending = asyncio.Event()

    def end(self) -> None:
        self.should_exit = True
        self._ending.set()

    async def main_loop(self) -> None:
        """Renews the header `Date` each second, and ends at once.

        uvicorn looks ten times per second whether it shall end, in each listener.
        """
        while not await self.on_tick(0):
            with suppress(TimeoutError):
                async with asyncio.timeout(_TICK_SECONDS):
                    await self._ending.wait()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class HttpServer:
    """Serves an application; binds its socket when it is created, so a used port is an error.

    With *shared* other processes serve the same port, and the kernel distributes connections.
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
        name: str = "public",
        limits: ConnectionLimits | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        limits = limits or ConnectionLimits()
        guard = ConnectionRegister(name, limits, metrics, time.monotonic)
        with refusal_explained(host, port, variable):
            self._socket = socket.create_server(
                (host, port), backlog=2048, family=family_of(host), reuse_port=shared
            )
        _limit_unacknowledged_time(self._socket)
        self._server = _QuietServer(
            uvicorn.Config(
                app,
                http=cast("Any", partial(GuardedProtocol, guard=guard)),
                timeout_keep_alive=cast("int", limits.keep_alive_seconds),  # any number does
                ws=cast("Any", partial(GuardedSocket, guard=guard)),
                ws_max_size=_MAX_FRAME_BYTES,
                ws_ping_interval=_PING_SECONDS,
                ws_ping_timeout=_PING_SECONDS,
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                # A client that stays connected must leave half of the time to the other stages.
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
            # serve() leaves its sockets open when it is cancelled.
            stop.cancel()
            self._server.end()
            await asyncio.shield(serving)


@contextmanager
def refusal_explained(host: str, port: int, variable: str = "GATEWAY_PORT") -> Iterator[None]:
    """Turns the error of binding into StartRefused, which names the *variable* to change."""
    try:
        yield
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]
        if error.errno in _PORT_ERRORS:
            cure = f"set {variable} to another port"
        else:
            cure = f"set {variable.replace('PORT', 'HOST')} to an address of this machine"
        raise StartRefused(f"Cannot listen on {host}:{port} ({reason}): {cure}") from None


def family_of(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET


def _limit_unacknowledged_time(listener: socket.socket) -> None:
    """Ends connections whose client reads nothing; they inherit the option from the listener.

    Otherwise a closed connection stays while the client does not read the rest of the response.
    """
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNACKNOWLEDGED_MS)
