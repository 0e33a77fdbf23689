"""Connections to receivers, kept open for the next callback.

httpcore's own pool looks at each of its connections for every request, which many receivers make
slow, and reads the certificate authorities anew for every connection.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpcore

_Server = tuple[bytes, bytes, int]

_SWEEP_EVERY_SECONDS = 1.0


class Connections:
    """HTTP/1.1, one request at a time on each; those used last are used first."""

    def __init__(
        self,
        network: httpcore.AsyncNetworkBackend,
        *,
        keep_idle_seconds: float,
        seconds: Callable[[], float],
        max_idle: int = 512,
    ) -> None:
        self._network, self._tls = network, httpcore.default_ssl_context()
        self._keep_idle_seconds, self._max_idle = keep_idle_seconds, max_idle
        self._seconds, self._sweep_at = seconds, 0.0
        self._idle: dict[_Server, list[httpcore.AsyncHTTPConnection]] = {}

    @asynccontextmanager
    async def answer(
        self, request: httpcore.Request, *, fresh: bool = False
    ) -> AsyncIterator[httpcore.Response]:
        """The answer while it arrives; *fresh* uses no connection that was used before."""
        origin = request.url.origin
        server = (origin.scheme, origin.host, origin.port)
        connection = None if fresh else await self._kept(server)
        if connection is None:
            connection = httpcore.AsyncHTTPConnection(
                origin,
                ssl_context=self._tls,
                keepalive_expiry=self._keep_idle_seconds,
                network_backend=self._network,
            )
        try:
            response = await connection.handle_async_request(request)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            if connection.is_available():
                self._idle.setdefault(server, []).append(connection)
            else:
                await connection.aclose()
        await self._sweep()

    async def close(self) -> None:
        """Closes those that nobody uses."""
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                await connection.aclose()

    async def _kept(self, server: _Server) -> httpcore.AsyncHTTPConnection | None:
        while connections := self._idle.get(server):
            connection = connections.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _sweep(self) -> None:
        """Closes those that have waited too long, and any above the most that may wait."""
        if self._seconds() < self._sweep_at:
            return
        self._sweep_at = self._seconds() + _SWEEP_EVERY_SECONDS
        kept, old = dict[_Server, list[httpcore.AsyncHTTPConnection]](), []
        count = 0
        for server, connections in self._idle.items():
            for connection in connections:
                if count < self._max_idle and not connection.has_expired():
                    kept.setdefault(server, []).append(connection)
                    count += 1
                else:
                    old.append(connection)
        self._idle = kept
        for connection in old:
            await connection.aclose()
