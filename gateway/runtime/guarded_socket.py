"""WebSocket connections within the limits of their listener, and without their paths in the log."""

import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from gateway.runtime.http_connections import ConnectionRegister
from gateway.runtime.refused_connection import refusal

_INVALID = "The request does not open a WebSocket: it has a body, or a header that is too long"


class GuardedSocket(WebSocketsSansIOProtocol):
    """One WebSocket; it counts as a connection of its listener until it is closed."""

    def __init__(self, *positional: Any, guard: ConnectionRegister, **named: Any) -> None:  # noqa: ANN401 - as uvicorn calls it
        super().__init__(*positional, **named)
        self._guard = guard
        # uvicorn logs the address at INFO, and it holds tokens and tickets.
        self.logger = logging.getLogger("uvicorn.websocket")

    def yield_place(self) -> None:
        self.transport.close()

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - as uvicorn declares it
        super().connection_made(transport)
        self._guard.admit(self)  # the HTTP connection has left its place
        self._guard.works(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._guard.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Answers a request that the library refuses without a word, and would leave open."""
        super().data_received(data)
        if not (self.handshake_initiated or self.transport.is_closing()):
            self._guard.count_refusal("invalid")
            self.transport.write(refusal(HTTPStatus.BAD_REQUEST, _INVALID))
            self.transport.close()

    async def send(self, message: Any) -> None:  # noqa: ANN401 - as uvicorn declares it
        """Completes a refusal: uvicorn takes it for an unfinished handshake, and logs an error."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            self.handshake_complete = True
