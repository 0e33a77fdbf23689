"""One HTTP/1.1 connection to a server of others, and the exchange of a request and its answer."""

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, cast
from urllib.parse import SplitResult

from gateway.account_turns import AccountTurns, Share
from gateway.clock import Clock
from gateway.outbound.failures import ConnectionLost, TooSlow
from gateway.outbound.response_parser import ResponseLimits, ResponseParser

_PAUSE_READING_BYTES: Final = 128 * 1024
_BYTES_PER_READ: Final = 256
_FREE_READS: Final = 16  # of a packet each: a usual answer has fewer, or large ones
_DRIP_PAUSE_SECONDS: Final = 0.1
_FREE_BYTES: Final = 1024
ONE_SLICE: Final = Share(1, 1)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Server:
    """Where requests of one URL go."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: SplitResult) -> "Server":
        """Returns the server of a URL that an address policy has checked."""
        assert url.hostname
        return cls(url.scheme, url.hostname, url.port or _DEFAULT_PORTS[url.scheme])


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request to the server of *url*, which an address policy has checked.

    *owner* is the account for which it is made: the slices of its answers are read in turn.
    """

    method: str
    url: SplitResult
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    owner: str = ""

    def head(self) -> bytes:
        """Returns the request line and the header lines."""
        path, query = self.url.path or "/", f"?{self.url.query}" if self.url.query else ""
        target = f"{path}{query}".replace(" ", "%20")
        headers = {"Host": self.url.netloc, **self.headers}
        if self.content is not None:
            headers["Content-Length"] = str(len(self.content))
        lines = [f"{self.method} {target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any(not line.isprintable() for line in lines):
            raise ValueError("a header holds a control character")
        return "\r\n".join([*lines, "", ""]).encode()


@dataclass(frozen=True, slots=True)
class AnswerPatience:
    """How slow an answer may be.

    Attributes:
        silence_seconds: the longest time without a byte.
        grace_seconds: after so long an answer must keep up with the minimum rate.
        bytes_per_second: the minimum rate, on average since the grace ended.
    """

    silence_seconds: float = 15.0
    grace_seconds: float = 20.0
    bytes_per_second: int = 1_024


class HttpResponse:
    """An answer whose head has arrived."""

    def __init__(self, connection: "HttpConnection", parser: ResponseParser, first: bytes) -> None:
        self._connection, self._parser, self._first = connection, parser, first
        self.status = parser.status

    def header(self, name: str) -> str | None:
        """Returns the first header of this name."""
        wanted = name.lower().encode()
        for found, value in self._parser.headers:
            if found == wanted:
                return _decoded(value)
        return None

    def list_header(self, name: str) -> str:
        """Returns all headers of this name as one list: a server may split it."""
        wanted = name.lower().encode()
        return ", ".join(_decoded(v) for found, v in self._parser.headers if found == wanted)

    async def content(self) -> AsyncGenerator[bytes]:
        """Yields the content as it arrives; raises ExchangeFailed if it does not end well."""
        if self._first:
            yield self._first
        self._parser.check()
        while not self._parser.complete:
            if piece := await self._connection.read_piece(self._parser):
                yield piece


class HttpConnection:
    """Carries one request at a time."""

    def __init__(
        self,
        stream: "ByteStream",
        clock: Clock,
        limits: ResponseLimits,
        patience: AnswerPatience,
        turns: AccountTurns | None = None,
    ) -> None:
        self._stream, self._clock = stream, clock
        self._limits, self._patience = limits, patience
        self._turns, self._owner = turns or AccountTurns(ONE_SLICE), ""
        self._parser: ResponseParser | None = None
        self._began = 0.0
        self._received_bytes = self._reads = 0

    async def send(self, request: HttpRequest) -> HttpResponse:
        """Sends a request and returns its answer as soon as its head has arrived.

        Raises:
            ConnectionLost: the server closed the connection.
            TooSlow: it was silent for too long.
            MalformedResponse: it does not speak HTTP/1.1.
            ExcessiveResponse: its answer exceeds a limit.
        """
        parser = self._parser = ResponseParser(self._limits)
        self._began, self._owner = self._clock.monotonic_seconds(), request.owner
        self._received_bytes = self._reads = 0
        # The content is in memory already, so the transport's buffer needs no bound.
        self._stream.write(request.head() + (request.content or b""))
        first = b""
        while not parser.status:
            first = await self.read_piece(parser)
        return HttpResponse(self, parser, first)

    async def read_piece(self, parser: ResponseParser) -> bytes:
        """Reads and parses one slice, and lets other tasks run before the next.

        The event loop parses at most one slice of each owner before it serves others, however many
        answers the owner gets at once. A short answer, as receivers give, waits for none.
        """
        data = await self._stream.read(parser.feed_bytes, self._patience.silence_seconds)
        if not data:
            parser.finish()
            return b""
        await self._slow_down(len(data))
        if self._received_bytes <= _FREE_BYTES:
            await self._clock.sleep(0)
            return parser.feed(data)
        async with self._turns.turn(self._owner):
            await self._clock.sleep(0)
            return parser.feed(data)

    def is_reusable(self) -> bool:
        """Returns whether the last exchange is complete and the connection is open."""
        parser, stream = self._parser, self._stream
        return parser is not None and parser.keeps_alive() and stream.is_quiet()

    def has_received(self) -> bool:
        """Returns whether a byte of the last answer arrived."""
        return self._received_bytes > 0

    def close(self) -> None:
        """Closes the connection at once."""
        if self._parser:
            self._parser.release()
        self._stream.abort()

    async def _slow_down(self, count: int) -> None:
        """Pauses for tiny packets; raises TooSlow if the answer is below the minimum rate.

        A server that sends every byte in a packet of its own would wake this task for each.
        A pause without reading lets them gather.
        """
        self._received_bytes += count
        elapsed = self._clock.monotonic_seconds() - self._began - self._patience.grace_seconds
        if elapsed > 0 and self._received_bytes < elapsed * self._patience.bytes_per_second:
            raise TooSlow(f"sends less than {self._patience.bytes_per_second} bytes per second")
        self._reads += 1
        if self._reads > _FREE_READS + self._received_bytes // _BYTES_PER_READ:
            with self._stream.not_reading():
                await self._clock.sleep(_DRIP_PAUSE_SECONDS)


class ByteStream(asyncio.Protocol):
    """The bytes of a connection: buffers what arrives, and stops reading when that is too much."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._has_ended = self._is_paused = False
        self._arrival = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > _PAUSE_READING_BYTES and not self._is_paused and self._transport:
            self._is_paused = True
            self._transport.pause_reading()
        self._arrival.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._has_ended = True
        self._arrival.set()

    def write(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            raise ConnectionLost("closed the connection")
        self._transport.write(data)

    async def read(self, max_bytes: int, silence_seconds: float) -> bytes:
        """Returns the next bytes, or none at the end of the connection.

        Raises:
            TooSlow: nothing arrived for *silence_seconds*.
        """
        if not self._buffer and not self._has_ended:
            self._arrival.clear()
            try:
                async with asyncio.timeout(silence_seconds):
                    await self._arrival.wait()
            except TimeoutError:
                raise TooSlow(f"sends nothing for {silence_seconds:g} seconds") from None
        data = bytes(self._buffer[:max_bytes])
        del self._buffer[:max_bytes]
        if self._is_paused and len(self._buffer) < _PAUSE_READING_BYTES and self._transport:
            self._is_paused = False
            self._transport.resume_reading()
        return data

    @contextmanager
    def not_reading(self) -> Iterator[None]:
        """Leaves what arrives to the system's buffer while the block runs."""
        transport = self._transport
        if transport is None or self._is_paused or transport.is_closing():
            yield
            return
        transport.pause_reading()
        try:
            yield
        finally:
            if not transport.is_closing():
                transport.resume_reading()

    def is_quiet(self) -> bool:
        """Returns whether the connection is open, and everything is written and read."""
        transport = self._transport
        return (
            transport is not None
            and not self._has_ended
            and not self._buffer
            and not transport.is_closing()
            and not transport.get_write_buffer_size()
        )

    def abort(self) -> None:
        if self._transport:
            self._transport.abort()


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
