"""HTTP connections that end where a request does not: in its headers, its body, or its size.

uvicorn limits none of these. A refused request gets its answer here, before any route sees it.
"""

import asyncio
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from gateway.runtime.http_connections import ConnectionRegister
from gateway.runtime.http_protocol import OneWriteProtocol
from gateway.runtime.refused_connection import refusal

_MAX_URL_BYTES = 16_384
_MAX_PARAMETERS = 1_000
_MAX_HEADERS = 128
_MAX_HEAD_BYTES = 65_536
_MAX_PIPELINED = 16
_PIECE_BYTES = 1_024  # about forty requests at most, beyond those that may wait
_MAX_UNPARSED_BYTES = 1 << 20
# Chunks cost about a microsecond each, whatever their size: honest clients fill them.
_FREE_CHUNKS = 1_000
_BYTES_PER_CHUNK = 64
_MAX_LENGTH_DIGITS = 18
_CHECKS_PER_IDLE_TIME = 4
_SECONDS_AFTER_ANSWER = 10.0

_TOO_LONG_URL = f"The address is longer than {_MAX_URL_BYTES} bytes"
_TOO_MANY_PARAMETERS = f"The address has more than {_MAX_PARAMETERS} parameters"
_TOO_LARGE_HEAD = (
    f"The headers are more than {_MAX_HEADERS}, or larger than {_MAX_HEAD_BYTES} bytes"
)
_SLOW_HEAD = "The headers of the request did not come in time"
_SLOW_BODY = "The body of the request came too slowly, or not to its end"
_TINY_CHUNKS = f"The chunks of the body are smaller than {_BYTES_PER_CHUNK} bytes: send larger ones"
_PIPELINED = "Too many requests wait on this connection: read the answers first"
_FULL = "Too many connections: close unused ones, and try again"


class _Phase(Enum):
    HEAD = auto()
    """Waits for the end of the headers, or for a first request."""
    BODY = auto()
    ANSWER = auto()
    """The request is complete."""
    IDLE = auto()
    """Between two requests; uvicorn's own timer runs."""


class _Refused(Exception):
    """Ends the parsing; the answer is noted in the connection."""


class GuardedProtocol(OneWriteProtocol):
    """One connection, within the limits of its listener."""

    def __init__(self, *positional: Any, guard: ConnectionRegister, **named: Any) -> None:  # noqa: ANN401 - as uvicorn calls it
        super().__init__(*positional, **named)
        self._guard, self._limits = guard, guard.limits
        self._phase = _Phase.HEAD
        self._timer: asyncio.TimerHandle | None = None
        self._refusal: tuple[HTTPStatus, str, str] | None = None
        self._has_begun = False
        """Whether a byte of the current head came."""
        self._head_bytes = 0
        self._pieces: list[bytes] = []
        self._chunks = self._body_bytes = self._length = 0
        self._is_websocket, self._unparsed = False, b""
        """Further requests, while too many wait for their answers."""
        self._received_at = self._checked_at = self._receiving_seconds = 0.0

    def yield_place(self) -> None:
        if self.transport.get_write_buffer_size():
            self.transport.abort()  # a close would wait until the client reads the answer
        elif self._has_begun:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, _FULL)
        else:
            self.transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self._guard.admit(self):
            self._set_timer(self._limits.header_seconds, self._on_slow_head)
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, _FULL)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._guard.remove(self)
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Waits until the client reads its answer; a client that does not must yield its place."""
        super().pause_writing()
        self._guard.waits(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._phase in (_Phase.BODY, _Phase.ANSWER):
            self._guard.works(self)

    def data_received(self, data: bytes) -> None:
        """Parses what came, unless too many requests wait for their answers already."""
        self._unparsed += data
        if len(self._unparsed) > _MAX_UNPARSED_BYTES + len(data):
            self._guard.count_refusal("pipelined")
            self._refuse(HTTPStatus.BAD_REQUEST, _PIPELINED)
        self._parse_on()

    def _parse_on(self) -> None:
        """Parses in pieces: the parser reads each to its end, however many requests are in it."""
        data, at = self._unparsed, 0
        self._unparsed = b""
        while at < len(data) and not (self.transport.is_closing() or self._is_websocket):
            if len(self.pipeline) >= _MAX_PIPELINED:
                self._unparsed = data[at:]
                self.flow.pause_reading()
                break
            end = len(data) if self._is_all_body(len(data) - at) else at + _PIECE_BYTES
            self._take(data[at:end])
            at = end
        self._flush_body()

    def _is_all_body(self, size: int) -> bool:
        """Whether so many bytes belong to the body that is being read."""
        return self._phase is _Phase.BODY and self._body_bytes + size <= self._length

    def _take(self, data: bytes) -> None:
        before = self._phase
        if before is _Phase.IDLE:
            self._stop_timer()
            self._phase, self._head_bytes = _Phase.HEAD, 0
        self._received_at = self.loop.time()
        super().data_received(data)
        if self._phase is _Phase.HEAD and not self.transport.is_closing():
            self._count_head(len(data) if before is _Phase.HEAD else 0)
        self._watch(before)

    def _count_head(self, size: int) -> None:
        """Counts what came of a head; the parser shows a line only once it is complete."""
        self._has_begun = True
        self._head_bytes += size
        if self._head_bytes > 2 * _MAX_HEAD_BYTES:
            self._note_refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head", _TOO_LARGE_HEAD)
            self._on_parser_error()

    def handle_websocket_upgrade(self) -> None:
        if self._is_surplus():  # its answer would come before those of earlier requests
            return
        self._is_websocket = True
        self._stop_timer()
        self._guard.remove(self)
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._phase = _Phase.HEAD
        self._head_bytes = self._chunks = self._body_bytes = self._length = 0

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > _MAX_URL_BYTES:
            self._fail(HTTPStatus.REQUEST_URI_TOO_LONG, "url", _TOO_LONG_URL)
        if self.url.count(b"&") >= _MAX_PARAMETERS:
            self._fail(HTTPStatus.REQUEST_URI_TOO_LONG, "url", _TOO_MANY_PARAMETERS)

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if name.lower() == b"content-length" and value.isdigit():
            self._length = int(value[:_MAX_LENGTH_DIGITS])
        self._head_bytes += len(name) + len(value)
        if len(self.headers) > _MAX_HEADERS or self._head_bytes > _MAX_HEAD_BYTES:
            self._fail(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "head", _TOO_LARGE_HEAD)

    def on_headers_complete(self) -> None:
        earlier = self.cycle
        super().on_headers_complete()
        if self.cycle is not earlier:  # else the request, without its upgrade, is parsed again
            self._phase = _Phase.BODY
            if not self.flow.write_paused:
                self._guard.works(self)

    def on_body(self, body: bytes) -> None:
        """Collects the pieces of one read: passing each on would cost as much as a large one."""
        self._pieces.append(body)
        self._chunks += 1
        self._body_bytes += len(body)
        if self._chunks > _FREE_CHUNKS + self._body_bytes // _BYTES_PER_CHUNK:
            self._fail(HTTPStatus.BAD_REQUEST, "chunks", _TINY_CHUNKS)

    def on_message_complete(self) -> None:
        self._flush_body()
        super().on_message_complete()
        if self._phase is _Phase.BODY:
            self._phase = _Phase.ANSWER
            if self.cycle.response_complete:  # the answer came before the end of the body
                self._begin_to_wait()

    def on_response_complete(self) -> None:
        is_last = not self.pipeline  # else the next request begins now
        super().on_response_complete()
        if self._phase is _Phase.ANSWER and is_last:
            self._begin_to_wait()
        elif self._phase is _Phase.HEAD:
            self._guard.waits(self)
        if self._unparsed and not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_soon(self._parse_on)

    def _begin_to_wait(self) -> None:
        self._phase, self._has_begun = _Phase.IDLE, False
        self._guard.waits(self)

    def _flush_body(self) -> None:
        if self._pieces:
            pieces, self._pieces = self._pieces, []
            if self.parser is not None:
                super().on_body(b"".join(pieces))

    def _watch(self, before: _Phase) -> None:
        """Starts the timer of a phase that this read began, or stops the one that it ended."""
        if self._phase is before or self.transport.is_closing():
            return
        self._stop_timer()
        if self._phase is _Phase.HEAD:
            self._set_timer(self._limits.header_seconds, self._on_slow_head)
        elif self._phase is _Phase.BODY:
            self._checked_at, self._receiving_seconds = self._received_at, 0.0
            self._check_body_later()
        elif self._phase is _Phase.IDLE:  # uvicorn's timer ended with this read
            self._set_timer(self._limits.keep_alive_seconds, self.timeout_keep_alive_handler)

    def _check_body_later(self) -> None:
        seconds = self._limits.body_idle_seconds / _CHECKS_PER_IDLE_TIME
        self._set_timer(seconds, self._check_body)

    def _check_body(self) -> None:
        """Ends a body that stands still or comes too slowly.

        Time in which the route does not read, or the client waits for `100 Continue`, is free.
        """
        now, limits = self.loop.time(), self._limits
        seconds, self._checked_at = now - self._checked_at, now
        if self.flow.read_paused or self.cycle.waiting_for_100_continue:
            self._received_at = now
        else:
            self._receiving_seconds += seconds
        counted = self._receiving_seconds - limits.body_idle_seconds
        is_slow = self._body_bytes < counted * limits.body_bytes_per_second
        if is_slow or now - self._received_at >= limits.body_idle_seconds:
            self._guard.count_refusal("slow_body")
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, _SLOW_BODY)
        elif self.cycle.response_complete and self._receiving_seconds > _SECONDS_AFTER_ANSWER:
            self.transport.close()  # the caller has its answer
        else:
            self._check_body_later()

    def _on_slow_head(self) -> None:
        if self._unparsed:  # the rest of the head is here, and waits
            self._set_timer(self._limits.header_seconds, self._on_slow_head)
            return
        self._guard.count_refusal("slow_head")
        if self._has_begun:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT, _SLOW_HEAD)
        else:
            self.transport.close()

    def _fail(self, status: HTTPStatus, reason: str, text: str) -> None:
        """Ends the parsing of this read, from within a callback of the parser."""
        self._note_refusal(status, reason, text)
        raise _Refused

    def _note_refusal(self, status: HTTPStatus, reason: str, text: str) -> None:
        self._refusal = (status, reason, text)

    def _on_parser_error(self) -> None:
        if self._refusal is None and self._is_surplus():
            return
        if self._refusal is None:
            self._guard.count_refusal("invalid")
            self._refuse(HTTPStatus.BAD_REQUEST, "The request is not valid HTTP")
            return
        status, reason, text = self._refusal
        self._guard.count_refusal(reason)
        self._refuse(status, text)

    def _is_surplus(self) -> bool:
        """Returns whether the bytes follow a request that waits for its answer: that comes first.

        Node's http module sends the body of a DELETE without its length, so that it follows the
        request. The connection ends with the answer.
        """
        cycle: RequestResponseCycle | None = self.cycle
        if self._phase is _Phase.BODY or cycle is None or cycle.response_complete:
            return False
        cycle.keep_alive = False
        self._phase = _Phase.ANSWER
        return True

    def _refuse(self, status: HTTPStatus, text: str) -> None:
        """Answers, unless an answer has begun, and closes the connection."""
        self._stop_timer()
        self._pieces = []
        if self.transport.is_closing():
            return
        if self._may_answer():
            self.transport.write(refusal(status, text))
        self.transport.close()

    def _may_answer(self) -> bool:
        """Returns whether no other answer is in work on this connection."""
        cycle: RequestResponseCycle | None = self.cycle
        if self._phase is _Phase.BODY and cycle:
            return not (cycle.response_started or self.pipeline)
        return cycle is None or cycle.response_complete

    def _set_timer(self, seconds: float, action: Any) -> None:  # noqa: ANN401 - a bound method
        self._stop_timer()
        self._timer = self.loop.call_later(seconds, action)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
