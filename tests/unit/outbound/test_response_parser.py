"""Answers are parsed in slices, and one that costs more than its content may is refused."""

import weakref
from http import HTTPStatus

import pytest

from gateway.outbound.failures import ConnectionLost, ExcessiveResponse, MalformedResponse
from gateway.outbound.response_parser import ResponseLimits, ResponseParser

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def parse(data: bytes, parser: ResponseParser | None = None) -> tuple[ResponseParser, bytes]:
    """Feeds slices as long as the parser allows; returns the content."""
    parser, content = parser or ResponseParser(ResponseLimits()), b""
    while data:
        count = parser.feed_bytes
        content += parser.feed(data[:count])
        data = data[count:]
    return parser, content


@pytest.mark.parametrize(
    ("answer", "content"),
    [
        (OK + b"Content-Length: 2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", b"ok"),
        (OK.replace(b"\r", b"") + b"Content-Length: 2\n\nok", b"ok"),
        (CHUNKED + b"1\r\no\r\n1;a=b\r\nk\r\n0\r\nX: y\r\n\r\n", b"ok"),
        (CONTINUE * 10 + OK + b"Content-Length: 2\r\n\r\nok", b"ok"),
        (
            OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            b"ok",
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (OK + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1_000_000, b"x" * 1_000_000),
        (
            CHUNKED + b"10\r\n0123456789abcdef\r\n" * 50_000 + b"0\r\n\r\n",
            b"0123456789abcdef" * 50_000,
        ),
    ],
)
def test_parser_reads_whole_answers(answer: bytes, content: bytes) -> None:
    parser, read = parse(answer)

    assert parser.complete
    assert parser.keeps_alive()
    assert read == content


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (CHUNKED + b"1\r\nA\r\n" * 100_000, "pieces that are too small"),
        (CHUNKED + b"1;" + b"x" * 200_000, "pieces that are too small"),
        (CONTINUE * 11, "more than 10 informational"),
        (OK + b"a: b\r\n" * 300, "more than 256 header lines"),
        (CHUNKED + b"0\r\n" + b"a: b\r\n" * 300, "more than 256 header lines"),
        (CONTINUE + OK + b"a: " + b"x" * 100_000, "a head of more than 65536 bytes"),
        ((b"HTTP/1.1 103 Hint\r\n" + b"a: b\r\n" * 100 + b"\r\n") * 3, "256 header lines"),
    ],
)
def test_parser_refuses_costly_answers(answer: bytes, reason: str) -> None:
    with pytest.raises(ExcessiveResponse, match=reason):
        parse(answer)


@pytest.mark.parametrize(
    "answer",
    [
        b"220 mail.example.com ready\r\n",
        b"ICY 200 OK\r\n\r\n",
        OK + b"Content-Length: x\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
    ],
)
def test_parser_refuses_what_is_not_http(answer: bytes) -> None:
    with pytest.raises(MalformedResponse):
        parse(answer)


@pytest.mark.parametrize("step", [1, 1_000])
def test_parser_reads_the_head_before_broken_content(step: int) -> None:
    parser, answer = ResponseParser(ResponseLimits()), CHUNKED + b"x\r\n"

    def read() -> None:
        for at in range(0, len(answer), step):
            parser.feed(answer[at : at + step])
        parser.check()

    with pytest.raises(MalformedResponse):
        read()

    assert parser.status == HTTPStatus.OK
    assert not parser.keeps_alive()


def test_parser_shortens_slices_of_small_pieces_and_lengthens_others() -> None:
    parser, _ = parse(CHUNKED + b"1\r\nA\r\n" * 2_000)
    assert parser.feed_bytes == 4 * 1024
    parser, _ = parse(OK + b"Content-Length: 500000\r\n\r\n" + b"x" * 500_000)
    assert parser.feed_bytes == 64 * 1024


def test_parser_ends_an_answer_of_unknown_length_with_the_connection() -> None:
    parser, content = parse(OK + b"\r\nok")
    assert (content, parser.complete) == (b"ok", False)
    parser.finish()
    assert parser.complete
    assert not parser.keeps_alive()


@pytest.mark.parametrize(
    "answer",
    [b"", OK, OK + b"Content-Length: 3\r\n\r\nok", CHUNKED + b"2\r\nok\r\n", CONTINUE],
)
def test_parser_reports_an_answer_that_broke_off(answer: bytes) -> None:
    parser, _ = parse(answer)
    with pytest.raises(ConnectionLost):
        parser.finish()


@pytest.mark.parametrize(
    "surplus", [b"x", OK + b"Content-Length: 5\r\n\r\nfalse", OK + b"Connection: close\r\n\r\n"]
)
def test_parser_ignores_bytes_after_the_answer_and_ends_the_connection(surplus: bytes) -> None:
    parser, content = parse(OK + b"Content-Length: 2\r\n\r\nok" + surplus)
    assert (content, parser.status, len(parser.headers)) == (b"ok", 200, 1)
    assert parser.complete
    assert not parser.keeps_alive()


def test_parser_does_not_keep_alive_where_the_server_says_so() -> None:
    parser, _ = parse(OK + b"Connection: close\r\nContent-Length: 2\r\n\r\nok")
    assert parser.complete
    assert not parser.keeps_alive()


@pytest.mark.parametrize("answer", [OK + b"Content-Length: 2\r\n\r\nok", OK + b"\r\nok"])
def test_parser_of_a_whole_answer_is_freed_without_the_garbage_collector(answer: bytes) -> None:
    parser, _ = parse(answer)
    parser.finish()
    freed = weakref.ref(parser)
    del parser

    assert freed() is None
