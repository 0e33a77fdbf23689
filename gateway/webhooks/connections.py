"""Connections to receivers that stay open for the next callback."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from gateway.outbound.connection import HttpConnection, HttpRequest, HttpResponse, Server
from gateway.outbound.dialer import Dialer
from gateway.outbound.failures import ConnectionLost

_PRUNE_EVERY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Idle:
    connection: HttpConnection
    since: float


class Connections:
    """HTTP/1.1 connections, one request at a time on each; the last used is reused first."""

    def __init__(
        self,
        dialer: Dialer,
        *,
        keep_idle_seconds: float,
        seconds: Callable[[], float],
        max_idle: int = 512,
    ) -> None:
        self._dialer = dialer
        self._keep_idle_seconds, self._max_idle = keep_idle_seconds, max_idle
        self._seconds, self._prune_at = seconds, 0.0
        self._idle: dict[Server, list[_Idle]] = {}

    @asynccontextmanager
    async def answer(self, request: HttpRequest) -> AsyncIterator[HttpResponse]:
        """Yields the answer while it arrives.

        Raises:
            AddressRefused: the address may not be visited.
            ExchangeFailed: the server gave no answer.
        """
        server = Server.of(request.url)
        connection, response = await self._exchange(request, server)
        try:
            yield response
        finally:
            if connection.is_reusable():
                idle = _Idle(connection, self._seconds())
                self._idle.setdefault(server, []).append(idle)
            else:
                connection.close()
        self._prune()

    def close(self) -> None:
        """Closes the idle connections."""
        idle, self._idle = self._idle, {}
        for connections in idle.values():
            for each in connections:
                each.connection.close()

    async def _exchange(
        self, request: HttpRequest, server: Server
    ) -> tuple[HttpConnection, HttpResponse]:
        idle = self._take_idle(server)
        if idle is not None:
            try:
                return idle, await _send(idle, request)
            except ConnectionLost:
                # The server may have closed the idle connection just then. One that answered a
                # part has read the request, and must not get it twice.
                if idle.has_received():
                    raise
        fresh = await self._dialer.connect(server)
        return fresh, await _send(fresh, request)

    def _take_idle(self, server: Server) -> HttpConnection | None:
        while connections := self._idle.get(server):
            idle = connections.pop()
            if self._is_fresh(idle):
                return idle.connection
            idle.connection.close()
        return None

    def _is_fresh(self, idle: _Idle) -> bool:
        is_young = self._seconds() < idle.since + self._keep_idle_seconds
        return is_young and idle.connection.is_reusable()

    def _prune(self) -> None:
        """Closes connections that were idle for too long, and those above the maximum."""
        if self._seconds() < self._prune_at:
            return
        self._prune_at = self._seconds() + _PRUNE_EVERY_SECONDS
        fresh, count = dict[Server, list[_Idle]](), 0
        for server, connections in self._idle.items():
            for idle in connections:
                if count < self._max_idle and self._is_fresh(idle):
                    fresh.setdefault(server, []).append(idle)
                    count += 1
                else:
                    idle.connection.close()
        self._idle = fresh


async def _send(connection: HttpConnection, request: HttpRequest) -> HttpResponse:
    """Sends a request; a failure closes the connection."""
    try:
        return await connection.send(request)
    except BaseException:
        connection.close()
        raise
