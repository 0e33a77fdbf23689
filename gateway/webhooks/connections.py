"""Connections to receivers that stay open for the next callback.

httpcore's own pool looks at all its connections for every request, which is slow with many
receivers, and reads the certificate authorities again for every connection.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpcore

_Server = tuple[bytes, bytes, int]

_PRUNE_EVERY_SECONDS = 1.0


class Connections:
    """HTTP/1.1 connections, one request at a time on each; the last used is reused first."""

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
        self._seconds, self._prune_at = seconds, 0.0
        self._idle: dict[_Server, list[httpcore.AsyncHTTPConnection]] = {}

    @asynccontextmanager
    async def answer(
        self, request: httpcore.Request, *, fresh: bool = False
    ) -> AsyncIterator[httpcore.Response]:
        """Yields the answer while it arrives; *fresh* opens a new connection."""
        origin = request.url.origin
        server = (origin.scheme, origin.host, origin.port)
        connection = None if fresh else await self._take_idle(server)
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
        await self._prune()

    async def close(self) -> None:
        """Closes the idle connections."""
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                await connection.aclose()

    async def _take_idle(self, server: _Server) -> httpcore.AsyncHTTPConnection | None:
        while connections := self._idle.get(server):
            connection = connections.pop()
            if not connection.has_expired():
                return connection
            await connection.aclose()
        return None

    async def _prune(self) -> None:
        """Closes connections that were idle for too long, and those above the maximum."""
        if self._seconds() < self._prune_at:
            return
        self._prune_at = self._seconds() + _PRUNE_EVERY_SECONDS
        fresh, expired = dict[_Server, list[httpcore.AsyncHTTPConnection]](), []
        count = 0
        for server, connections in self._idle.items():
            for connection in connections:
                if count < self._max_idle and not connection.has_expired():
                    fresh.setdefault(server, []).append(connection)
                    count += 1
                else:
                    expired.append(connection)
        self._idle = fresh
        for connection in expired:
            await connection.aclose()
