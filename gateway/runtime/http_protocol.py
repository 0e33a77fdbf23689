"""HTTP connections that write a response in one piece, and speak only HTTP/1.1 and WebSocket."""

import asyncio
from collections.abc import Iterable
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

_HEAD = b"HTTP/1."
_UPGRADE_HEADERS = frozenset({b"upgrade", b"http2-settings"})


def new_parser(protocol: HttpToolsProtocol) -> httptools.HttpRequestParser:
    """Returns a parser that reads as uvicorn's does."""
    parser = httptools.HttpRequestParser(protocol)
    parser.set_dangerous_leniencies(lenient_data_after_close=True)
    return parser


class OneWriteProtocol(HttpToolsProtocol):
    """Sends the head of a response together with its body: one system call and one packet."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        holding = HoldingHeads(cast("asyncio.Transport", transport), self.loop)
        super().connection_made(cast("asyncio.Transport", holding))
        self._declined_head = b""
        """The head of a request whose upgrade is declined, without the upgrade's headers."""

    def data_received(self, data: bytes) -> None:
        """Parses *data*; parses a request whose upgrade is declined again, without the offer.

        The parser believes that a request which offers an upgrade ends with its headers, also where
        a body follows. A server that declines goes on in HTTP/1.1 (RFC 9110, 7.8); Java's
        HttpClient offers an upgrade with each POST and expects this.
        """
        self._unset_keepalive_if_required()
        try:
            while data:
                data = self._parse(data)
        except httptools.HttpParserError:
            self._on_parser_error()

    def _on_parser_error(self) -> None:
        message = "Invalid HTTP request received."
        self.logger.warning(message)
        self.send_400_response(message)

    def _parse(self, data: bytes) -> bytes:
        """Returns the data that is left to parse."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._declined_head:
                head, self._declined_head = self._declined_head, b""
                # After `Connection: close` a parser reads no second head.
                self.parser = new_parser(self)
                return head + data[upgrade.args[0] :]
            if self._should_upgrade():
                self.handle_websocket_upgrade()
            else:  # CONNECT
                self._unsupported_upgrade_warning()
        return b""

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio reads it, uvicorn does not
        """Keeps the connection of a client that sends no more until its request is answered.

        It may still read: a program that shuts its side down after the request is one of them. A
        client that is gone is noticed when the answer is written.
        """
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.more_body or cycle.response_started:
            return False
        cycle.keep_alive = False
        return True

    def on_headers_complete(self) -> None:
        offered = self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"
        if offered and not self._should_upgrade():
            self._declined_head = self._head_without_upgrade()
        else:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        if not self._declined_head:
            super().on_message_complete()

    def _should_upgrade(self) -> bool:
        """Says whether to accept: a WebSocket begins with GET (RFC 6455, 4.1)."""
        return self.parser.get_method() == b"GET" and super()._should_upgrade()

    def _head_without_upgrade(self) -> bytes:
        version = self.parser.get_http_version().encode()
        lines = [self.parser.get_method() + b" " + self.url + b" HTTP/" + version]
        lines += [name + b": " + value for name, value in _without_upgrade(self.headers)]
        return b"\r\n".join((*lines, b"", b""))


def _without_upgrade(headers: Iterable[tuple[bytes, bytes]]) -> Iterable[tuple[bytes, bytes]]:
    """Yields the headers without the offer; other tokens of `Connection` stay."""
    for name, value in headers:
        if name == b"connection":
            tokens = (token.strip() for token in value.split(b","))
            yield name, b", ".join(t for t in tokens if t.lower() not in _UPGRADE_HEADERS)
        elif name not in _UPGRADE_HEADERS:
            yield name, value


class HoldingHeads:
    """A transport that delays a head until its body comes, at most until the loop's next turn."""

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

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - every other method of a transport
        return getattr(self._transport, name)

    def _release(self) -> None:
        head, self._head = self._head, b""
        if head and not self._transport.is_closing():
            self._transport.write(head)
