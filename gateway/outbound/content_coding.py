"""Decodes compressed content, in pieces of bounded size.

Servers compress although the request forbids it: objects that are stored compressed are served so
whatever a client asks for. They also name codings that are none, such as `UTF-8` or `aws-chunked`.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from typing import Final, Protocol

import brotli

from gateway.outbound.failures import MalformedResponse, UnreadableResponse

_PIECE_BYTES: Final = 64 * 1024
_MAX_CODINGS: Final = 3
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZLIB_HEAD_BYTES: Final = 2
_ZLIB_METHOD, _ZLIB_CHECK = 8, 31
_GZIP_BITS: Final = 16 + zlib.MAX_WBITS
_UNREADABLE: Final = frozenset({"zstd", "compress", "x-compress", "dcb", "dcz"})


class Decoder(Protocol):
    """Undoes one coding."""

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yields what *piece* decodes to, at most 64 KiB at a time."""

    def finish(self) -> None:
        """Raises MalformedResponse if the content is not whole, UnreadableResponse if broken."""


def decoders_of(header: str | None) -> list[Decoder]:
    """Returns what decodes content with this Content-Encoding, in the order of decoding.

    A name that is no coding stands for none.

    Raises:
        UnreadableResponse: the content has a coding that is not supported, or too many.
    """
    names = [name.strip().lower() for name in (header or "").split(",")]
    if unreadable := _UNREADABLE.intersection(names):
        raise UnreadableResponse(f"compresses it as {min(unreadable)}, which is not supported")
    known = [_KNOWN[name] for name in reversed(names) if name in _KNOWN]
    if len(known) > _MAX_CODINGS:
        raise UnreadableResponse(f"compresses it more than {_MAX_CODINGS} times")
    return [kind() for kind in known]


async def decoded(pieces: AsyncIterator[bytes], decoders: list[Decoder]) -> AsyncGenerator[bytes]:
    """Yields the content as it is without its codings.

    Raises:
        MalformedResponse: it ends too early.
        UnreadableResponse: it cannot be decoded.
    """
    async for piece in pieces:
        for each in _through(decoders, piece):
            yield each
            await asyncio.sleep(0)  # a piece may decode to a thousand
    for decoder in decoders:
        decoder.finish()


def _through(decoders: list[Decoder], piece: bytes) -> Iterator[bytes]:
    if not decoders:
        yield piece
        return
    for inner in decoders[0].feed(piece):
        yield from _through(decoders[1:], inner)


class _Deflated:
    """Decodes gzip, and deflate with or without the head of zlib.

    Content that does not begin like gzip is no gzip, whatever the server says.
    """

    def __init__(self, *, gzip: bool) -> None:
        self._gzip, self._head = gzip, b""
        self._stream: zlib._Decompress | None = None
        self._plain = self._ended = self._is_over = False

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._stream is None and not self._plain:
            piece = self._head = self._head + piece
            if len(piece) < _ZLIB_HEAD_BYTES:
                return
            self._begin(piece)
            self._head = b""
        if self._plain:
            yield piece
            return
        try:
            yield from self._inflated(piece)
        except zlib.error:
            raise _broken() from None

    def finish(self) -> None:
        if self._stream is None and not self._plain and self._head:
            raise _broken()
        if self._stream is not None and not self._ended:
            raise MalformedResponse("ends its compressed content too early")

    def _begin(self, head: bytes) -> None:
        if self._gzip:
            self._plain = not head.startswith(_GZIP_MAGIC)
            bits = _GZIP_BITS
        else:
            has_head = head[0] & 15 == _ZLIB_METHOD and (head[0] * 256 + head[1]) % _ZLIB_CHECK == 0
            bits = zlib.MAX_WBITS if has_head else -zlib.MAX_WBITS
        if not self._plain:
            self._stream = zlib.decompressobj(bits)

    def _inflated(self, piece: bytes) -> Iterator[bytes]:
        if self._ended:
            piece, self._head = self._head + piece, b""
        while piece and not (self._ended and not self._next_member(piece)):
            assert self._stream is not None
            if shown := self._stream.decompress(piece, _PIECE_BYTES):
                yield shown
            self._ended = self._stream.eof
            piece = self._stream.unused_data if self._ended else self._stream.unconsumed_tail

    def _next_member(self, piece: bytes) -> bool:
        """Starts the next of several gzip streams; anything else behind the last is no content."""
        if self._gzip and not self._is_over and piece.startswith(_GZIP_MAGIC):
            self._stream, self._ended = zlib.decompressobj(_GZIP_BITS), False
            return True
        if piece == _GZIP_MAGIC[:1] and not self._is_over:
            self._head = piece  # the next byte comes with the next piece
        else:
            self._is_over = True
        return False


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    def feed(self, piece: bytes) -> Iterator[bytes]:
        if self._stream.is_finished():
            return
        try:
            shown = self._stream.process(piece, output_buffer_limit=_PIECE_BYTES)
            while shown:
                yield shown
                # can_accept_more_data() says yes, though some of the output may be to come.
                shown = self._stream.process(b"", output_buffer_limit=_PIECE_BYTES)
        except brotli.error:
            raise _broken() from None

    def finish(self) -> None:
        if not self._stream.is_finished():
            raise MalformedResponse("ends its compressed content too early")


def _broken() -> UnreadableResponse:
    return UnreadableResponse("sends compressed content that cannot be read")


_KNOWN: Final[Mapping[str, Callable[[], Decoder]]] = {
    "gzip": lambda: _Deflated(gzip=True),
    "x-gzip": lambda: _Deflated(gzip=True),
    "deflate": lambda: _Deflated(gzip=False),
    "br": _Brotli,
}
