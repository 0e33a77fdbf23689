"""The protocol of Postgres, as the server of a library's driver reads and writes it."""

import struct

import pytest

from gateway.database.library_pool.statements import is_read, may_repeat
from gateway.database.library_pool.wire import (
    MAX_MESSAGE_BYTES,
    Bound,
    ClientRequest,
    ClientRequests,
    Messages,
    UnexpectedMessage,
    bound_of,
    startup_parameters,
)


def message(code: bytes, body: bytes = b"") -> bytes:
    return code + struct.pack("!I", len(body) + 4) + body


BIND = b"\0\0" + struct.pack("!HHHHi", 2, 0, 1, 2, 1) + b"a" + struct.pack("!iH", -1, 0)
SENT = (
    message(b"P", b"\0select $1, $2\0\0\0")
    + message(b"B", BIND)
    + message(b"D", b"P\0")
    + message(b"E", b"\0\0\0\0\0")
    + message(b"S")
    + message(b"Q", b"BEGIN\0")
    + message(b"X")
)
WANTED = [ClientRequest(b"select $1, $2", Bound((b"a", None), (0, 1))), ClientRequest(b"BEGIN")]


@pytest.mark.parametrize("size", [1, 2, 7, len(SENT)])
def test_requests_in_pieces_of_any_size_are_the_same(size: int) -> None:
    requests = ClientRequests(Messages())
    found = [
        request
        for start in range(0, len(SENT), size)
        for request in requests.feed(SENT[start : start + size])
    ]
    assert found == WANTED
    assert requests.is_over


@pytest.mark.parametrize(
    "sent",
    [
        message(b"P", b"named\0select 1\0\0\0"),
        message(b"B", b"\0named\0"),
        message(b"B", b"\0\0" + struct.pack("!HHHH", 0, 0, 1, 1)),  # a result in binary
        message(b"F", b""),
        b"Q" + struct.pack("!I", MAX_MESSAGE_BYTES + 1),
        b"Q" + struct.pack("!I", 3),
    ],
)
def test_requests_of_an_unknown_form_are_refused(sent: bytes) -> None:
    with pytest.raises(UnexpectedMessage):
        ClientRequests(Messages()).feed(sent)


def test_bound_with_one_format_has_it_for_each_parameter() -> None:
    body = b"\0\0" + struct.pack("!HHHi", 1, 1, 2, 0) + struct.pack("!iH", 0, 0)
    assert bound_of(body) == Bound((b"", b""), (1, 1))


def test_startup_message_has_parameters() -> None:
    body = struct.pack("!I", 196608) + b"user\0ticket\0database\0x\0\0"
    messages = Messages()
    messages.feed(struct.pack("!I", len(body) + 4) + body)
    first = messages.first()
    assert first
    assert startup_parameters(first) == {"user": "ticket", "database": "x"}


def test_reads_and_repeatable_statements_are_shown_from_others() -> None:
    assert is_read(b"\n SELECT a FROM b WHERE c=$1;")
    for sql in (b"select a from b for update", b"select 1; delete from a", b"DELETE FROM a"):
        assert not is_read(sql)
    upsert = b"INSERT INTO a VALUES ($1)\n ON CONFLICT (b) DO UPDATE SET c=excluded.c"
    assert may_repeat(upsert)
    assert may_repeat(b"DELETE FROM a")
    assert not may_repeat(b"INSERT INTO a VALUES ($1)")
    assert not may_repeat(b"select 1; insert into a values (1)")
