"""Parses the answer to one request, and refuses an answer that is costly to read.

A hostile server can wrap every byte in a chunk of its own, or send header lines or informational
responses without end. The parser is written in C, and every piece of framing takes bytes. So the
bytes that are not content bound the work: there may be some of them, and more with the content.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import httptools

from gateway.outbound.failures import ConnectionLost, ExcessiveResponse, MalformedResponse

_NO_HTTP: Final = "does not answer with HTTP/1.1"
_MIN_FEED_BYTES: Final = 4 * 1024
_MAX_FEED_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class ResponseLimits:
    """What an answer may hold beside its content.

    Attributes:
        head_bytes: status lines and header lines before the content.
        header_lines: of the answer, of informational responses and of trailers together.
        informational: responses such as 100 Continue before the answer.
        framing_bytes: everything that is not content, for an answer without content.
        content_per_framing_byte: so many bytes of content allow one more byte of framing.
    """

    head_bytes: int = 64 * 1024
    header_lines: int = 256
    informational: int = 10
    framing_bytes: int = 128 * 1024
    content_per_framing_byte: int = 2


class ResponseParser:
    """Reads one answer that is fed in slices.

    Attributes:
        status: of the answer; 0 before its head is complete.
        headers: with lower-case names, in the order of the answer.
        complete: the whole answer was read.
        feed_bytes: how long the next slice may be, so that parsing it takes about a millisecond.
    """

    def __init__(self, limits: ResponseLimits) -> None:
        self._limits = limits
        parser = httptools.HttpResponseParser(self)
        self._parser: httptools.HttpResponseParser | None = parser
        self._content: list[bytes] = []
        self._framing_bytes = self._content_bytes = 0
        self._header_lines = self._informational = 0
        self._keeps_alive = self._has_surplus = self._is_broken = False
        # Old servers write header lines so, and there is no second parser to disagree with.
        parser.set_dangerous_leniencies(
            lenient_optional_cr_before_lf=True,
            lenient_chunked_length=True,
            lenient_spaces_after_chunk_size=True,
        )
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.complete = False
        self.feed_bytes = _MIN_FEED_BYTES

    def feed(self, data: bytes) -> bytes:
        """Parses a slice of the answer and returns the content in it.

        A head counts although what follows it in its slice is broken: `check` says so.

        Raises:
            ExcessiveResponse: the answer exceeds a limit.
            MalformedResponse: it is not HTTP.
        """
        if self._parser is None:
            self._has_surplus = True
            return b""
        had_head = self.status != 0
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserCallbackError as error:
            raise (error.__context__ or error) from None
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            if self.complete:
                self._has_surplus = True
            elif self.status and not had_head:
                self._is_broken = True
            else:
                raise MalformedResponse(_NO_HTTP) from None
        content = b"".join(self._content)
        self._content.clear()
        self._count(len(data), len(content))
        if self.complete:
            self.release()
        return content

    def release(self) -> None:
        """Reads no more: the parser in C refers to this one, so each would keep the other.

        Left to the garbage collector, the pairs of many callbacks take megabytes until it runs.
        """
        self._parser = None

    def check(self) -> None:
        """Raises MalformedResponse if what followed the head was broken."""
        if self._is_broken:
            raise MalformedResponse(_NO_HTTP)

    def finish(self) -> None:
        """Handles the end of the connection, which ends an answer of unknown length.

        Raises:
            ConnectionLost: the answer is not whole.
        """
        if self.complete:
            return
        if not self.status:
            raise ConnectionLost("closed the connection without an answer")
        names = {name for name, _value in self.headers}
        if names & {b"content-length", b"transfer-encoding"}:
            raise ConnectionLost("closed the connection within its answer")
        self.complete = True
        self.release()

    def keeps_alive(self) -> bool:
        """Returns whether the connection can carry another request after this answer."""
        return self.complete and self._keeps_alive and not self._has_surplus

    def _count(self, fed_bytes: int, content_bytes: int) -> None:
        framing = fed_bytes - content_bytes
        self._framing_bytes += framing
        self._content_bytes += content_bytes
        limits = self._limits
        if not self.status and self._framing_bytes > limits.head_bytes:
            raise ExcessiveResponse(f"answers with a head of more than {limits.head_bytes} bytes")
        allowed = self._content_bytes // limits.content_per_framing_byte + limits.framing_bytes
        if self._framing_bytes > allowed:
            raise ExcessiveResponse("answers in pieces that are too small")
        is_dense = framing * 8 > fed_bytes
        self.feed_bytes = _MIN_FEED_BYTES if is_dense else min(2 * fed_bytes, _MAX_FEED_BYTES)
        self.feed_bytes = max(self.feed_bytes, _MIN_FEED_BYTES)

    # httptools calls these.

    def on_message_begin(self) -> None:
        self._has_surplus = self.complete

    def on_header(self, name: bytes, value: bytes) -> None:
        self._header_lines += 1
        if self._header_lines > self._limits.header_lines:
            raise ExcessiveResponse(
                f"answers with more than {self._limits.header_lines} header lines"
            )
        if not self.status:  # trailers are not needed
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        status = self._parser.get_status_code()
        if status >= HTTPStatus.OK:
            self.status = self.status or status
            return
        if status == HTTPStatus.SWITCHING_PROTOCOLS:
            raise MalformedResponse("answers with another protocol, which was not requested")
        self.headers.clear()
        self._informational += 1
        if self._informational > self._limits.informational:
            raise ExcessiveResponse(
                f"answers with more than {self._limits.informational} informational responses"
            )

    def on_body(self, content: bytes) -> None:
        if not self.complete:
            self._content.append(content)

    def on_message_complete(self) -> None:
        if self.status and not self.complete:
            assert self._parser is not None
            self.complete, self._keeps_alive = True, self._parser.should_keep_alive()
