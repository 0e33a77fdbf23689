"""HTTP connections whose answers leave in one piece."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

_HEAD = b"HTTP/1."


class OneWriteProtocol(HttpToolsProtocol):
    """Sends the head of an answer with what follows: one system call and one packet, not two."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        holding = HoldingHeads(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", holding))


class HoldingHeads:
    """A transport that keeps a head until the body comes, at most until the loop's next turn."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._head = b""

    def write(self, data: bytes) -> None:
        if self._head:
            head, self._head = self._head, b""
            self._transport.writelines((head, data))
        elif data.startswith(_HEAD):
            self._head = data
            self._loop.call_soon(self._release)
        else:
            self._transport.write(data)

    def close(self) -> None:
        self._release()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever else a transport can do
        return getattr(self._transport, name)

    def _release(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)
