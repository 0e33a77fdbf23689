"""Messages of Postgres' protocol, as a server reads and writes them.

Only what lib/pq sends with `binary_parameters=yes`: simple queries, and one unnamed statement with
its parameters in one go. Results are text.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from psycopg.pq import DiagnosticField, ExecStatus
from psycopg.pq.abc import PGresult

MAX_MESSAGE_BYTES = 64 << 20

IDLE, IN_TRANSACTION, IN_FAILED_TRANSACTION = b"I", b"T", b"E"
"""The states of a connection in ReadyForQuery."""

SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
NO_ENCRYPTION = b"N"
PARSE_AND_BIND_COMPLETE = b"1\0\0\0\x04" + b"2\0\0\0\x04"
_NO_DATA = b"n\0\0\0\x04"
_EMPTY_QUERY = b"I\0\0\0\x04"
_ROW = struct.Struct("!cIH")
_BYTEA = 17  # the number of the type
_LENGTH = struct.Struct("!i")
_COLUMN = struct.Struct("!IhIhih")
_FIELDS = (
    (b"S", DiagnosticField.SEVERITY),
    (b"V", DiagnosticField.SEVERITY_NONLOCALIZED),
    (b"C", DiagnosticField.SQLSTATE),
    (b"M", DiagnosticField.MESSAGE_PRIMARY),
    (b"D", DiagnosticField.MESSAGE_DETAIL),
    (b"H", DiagnosticField.MESSAGE_HINT),
    (b"s", DiagnosticField.SCHEMA_NAME),
    (b"t", DiagnosticField.TABLE_NAME),
    (b"n", DiagnosticField.CONSTRAINT_NAME),
)


class UnexpectedMessage(Exception):
    """The client sent what this server does not understand."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The parameters of a statement: each as text or as binary (formats 0 and 1), None for null."""

    values: tuple[bytes | None, ...] = ()
    formats: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """A statement to run: with `bound`, in the extended protocol; without, as a simple query."""

    sql: bytes
    bound: Bound | None = None


class Messages:
    """Cuts the bytes of a client into messages."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> None:
        self._bytes += data

    def first(self) -> bytes | None:
        """Takes a message without a code, as a client begins with; None until it is complete."""
        return self._take(0)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Takes the complete messages, each with its code."""
        while (message := self._take(1)) is not None:
            yield message[0], message[5:]

    def _take(self, code_bytes: int) -> bytes | None:
        if len(self._bytes) < code_bytes + 4:
            return None
        size = code_bytes + int.from_bytes(self._bytes[code_bytes : code_bytes + 4])
        if not code_bytes + 4 <= size <= MAX_MESSAGE_BYTES:
            raise UnexpectedMessage("a message of an impossible size")
        if len(self._bytes) < size:
            return None
        message = bytes(self._bytes[:size])
        del self._bytes[:size]
        return message if code_bytes else message[4:]


class ClientRequests:
    """Collects the requests of a client from its messages."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._sql, self._bound = b"", Bound()
        self.is_over = False
        """Whether the client has said that it goes."""

    def feed(self, data: bytes) -> list[ClientRequest]:
        """Returns the requests that are complete with *data*."""
        self._messages.feed(data)
        return [request for each in self._messages if (request := self._request_of(*each))]

    def _request_of(self, code: int, body: bytes) -> ClientRequest | None:
        match bytes((code,)):
            case b"P" if body[:1] == b"\0":
                self._sql = body[1 : body.index(b"\0", 1)]
            case b"B":
                self._bound = bound_of(body)
            case b"D" | b"E":  # of the unnamed portal, as `bound_of` has checked
                pass
            case b"S":
                return ClientRequest(self._sql, self._bound)
            case b"Q":
                return ClientRequest(body.rstrip(b"\0"))
            case b"X":
                self.is_over = True
            case other:
                raise UnexpectedMessage(f"message {other!r}")
        return None


def startup_parameters(body: bytes) -> dict[str, str]:
    """Returns the parameters of a startup message."""
    words = [word.decode() for word in body[4:].rstrip(b"\0").split(b"\0")]
    return dict(zip(words[::2], words[1::2], strict=False))


def bound_of(body: bytes) -> Bound:
    """Reads a Bind message for the unnamed portal and statement; results must be text."""
    if body[:2] != b"\0\0":
        raise UnexpectedMessage("a named portal or statement")
    at = 2
    formats, at = _numbers(body, at)
    (count,) = struct.unpack_from("!H", body, at)
    at += 2
    values: list[bytes | None] = []
    for _ in range(count):
        (size,) = _LENGTH.unpack_from(body, at)
        at += 4
        values.append(None if size < 0 else body[at : at + size])
        at += max(size, 0)
    result_formats, _ = _numbers(body, at)
    if any(result_formats):
        raise UnexpectedMessage("a result in binary")
    if len(formats) == 1:
        formats *= count
    return Bound(tuple(values), formats or None)


def _numbers(body: bytes, at: int) -> tuple[tuple[int, ...], int]:
    (count,) = struct.unpack_from("!H", body, at)
    end = at + 2 + 2 * count
    return struct.unpack_from(f"!{count}H", body, at + 2), end


def greeting(status: bytes = IDLE) -> bytes:
    """Returns what lets a client in: authenticated, the server's parameters, ready."""
    parameters = {
        # The driver's oldest forms fit every server that the gateway supports.
        b"server_version": b"14.0",
        b"client_encoding": b"UTF8",
        b"standard_conforming_strings": b"on",
        b"TimeZone": b"UTC",
    }
    shown = b"".join(_message(b"S", k + b"\0" + v + b"\0") for k, v in parameters.items())
    no_key_to_cancel = _message(b"K", b"\0" * 8)
    return _message(b"R", b"\0\0\0\0") + shown + no_key_to_cancel + ready(status)


def ready(status: bytes) -> bytes:
    return b"Z\0\0\0\x05" + status


def complete(tag: bytes) -> bytes:
    return _message(b"C", tag + b"\0")


def changed(tag: bytes) -> bytes:
    """Returns the messages for a statement with parameters that returned no row."""
    return PARSE_AND_BIND_COMPLETE + _NO_DATA + complete(tag)


def bytea(column: bytes, value: bytes) -> bytes:
    """Returns the messages for a statement with parameters that returned one value, as text."""
    description = struct.pack("!H", 1) + column + b"\0" + _COLUMN.pack(0, 0, _BYTEA, -1, -1, 0)
    row = struct.pack("!H", 1) + _LENGTH.pack(len(value)) + value
    return (
        PARSE_AND_BIND_COMPLETE
        + _message(b"T", description)
        + _message(b"D", row)
        + complete(b"SELECT 1")
    )


def error(code: str, text: str, *, severity: str = "ERROR") -> bytes:
    fields = {b"S": severity, b"V": severity, b"C": code, b"M": text}
    return _message(
        b"E", b"".join(name + value.encode() + b"\0" for name, value in fields.items()) + b"\0"
    )


def result(found: PGresult, *, described: bool) -> bytes:
    """Returns the messages for one result of libpq.

    Args:
        found: the result; its columns are text.
        described: whether the client awaits a description of the columns even if there are none.
    """
    match found.status:
        case ExecStatus.TUPLES_OK:
            return _row_description(found) + _rows(found) + complete(found.command_status or b"")
        case ExecStatus.COMMAND_OK:
            return (_NO_DATA if described else b"") + complete(found.command_status or b"")
        case ExecStatus.EMPTY_QUERY:
            return (_NO_DATA if described else b"") + _EMPTY_QUERY
        case _:
            return _error_of(found)


def _row_description(found: PGresult) -> bytes:
    parts = [struct.pack("!H", found.nfields)]
    for column in range(found.nfields):
        parts += (
            found.fname(column) or b"",
            b"\0",
            _COLUMN.pack(
                found.ftable(column),
                found.ftablecol(column),
                found.ftype(column),
                found.fsize(column),
                found.fmod(column),
                0,
            ),
        )
    return _message(b"T", b"".join(parts))


def _rows(found: PGresult) -> bytes:
    columns = range(found.nfields)
    parts: list[bytes] = []
    for row in range(found.ntuples):
        size, cells = 6, []
        for column in columns:
            value = found.get_value(row, column)
            if value is None:
                cells.append(b"\xff\xff\xff\xff")
                size += 4
            else:
                cells += (_LENGTH.pack(len(value)), value)
                size += 4 + len(value)
        parts.append(_ROW.pack(b"D", size, len(columns)))
        parts += cells
    return b"".join(parts)


def _error_of(found: PGresult) -> bytes:
    shown = ((code, found.error_field(field)) for code, field in _FIELDS)
    fields = b"".join(code + value + b"\0" for code, value in shown if value)
    return _message(b"E", fields + b"\0")


def _message(code: bytes, body: bytes) -> bytes:
    return code + struct.pack("!I", len(body) + 4) + body


def is_error(results: Sequence[PGresult]) -> bool:
    return any(found.status == ExecStatus.FATAL_ERROR for found in results)
