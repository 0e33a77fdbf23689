"""What servers answer: K02 and K03 for files, K22 and K23 for callbacks."""

import gzip
import hashlib
import tempfile
import uuid
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

import brotli
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from gateway.clock import Clock
from gateway.media.fetching import Fetcher
from gateway.public_address import AddressPolicy
from gateway.webhooks.posting import DeliveryResult, Poster, WebhookRequest
from tests.fixtures import media
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.raw_receiver import RawReceiver

LOOPBACK: Final = AddressPolicy(allow_http=True, allowed=(IPv4Network("127.0.0.0/8"),))
PICTURE: Final = media.picture()
FEW = settings(max_examples=15, deadline=None, phases=[Phase.generate])  # no shrinking: it waits
CODINGS: Final[dict[str, Callable[[bytes], bytes]]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "deflate": zlib.compress,
    "br": brotli.compress,
}
NO_CODINGS = st.sampled_from(["", "identity", "UTF-8", "aws-chunked", "none", "binary", "null"])
SUCCESS = st.sampled_from([200, 201, 202, 203, 206, 226])


@asynccontextmanager
async def fetched(*answers: media.Answer) -> AsyncIterator[tuple[media.FileServer, list[str]]]:
    """Fetches each answer, one after the other, with one client; yields their hashes."""
    fetcher = Fetcher(LOOPBACK, Clock(), timeout_seconds=PATIENCE_SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        async with media.file_server() as server:
            files = []
            for number, answer in enumerate(answers):
                url = server.put(f"/{number}", answer)
                file = Path(folder, str(number))
                found = await fetcher.fetch(url, file, owner="a", max_bytes=100_000)
                files.append(found.file.sha256)
            yield server, files


@FEW
@given(
    st.lists(st.one_of(st.sampled_from([*CODINGS]), NO_CODINGS), max_size=3),
    st.sampled_from(["one line", "a line each"]),
    st.sampled_from([str, str.upper, str.title]),
    SUCCESS,
)
async def test_file_is_read_whatever_codings_its_server_names(
    codings: list[str], form: str, spelled: Callable[[str], str], status: int
) -> None:
    content = PICTURE
    for coding in codings:
        content = CODINGS.get(coding, bytes)(content)
    names = [spelled(coding) for coding in codings]
    values = names if form == "a line each" else [", ".join(names)]
    answer = media.whole(status, content, *(f"Content-Encoding: {value}" for value in values))

    async with fetched(answer) as (_server, files):
        assert files == [hashlib.sha256(PICTURE).hexdigest()]


COOKIES = st.lists(
    st.sampled_from(
        ["a=1", "b=2; Path=/", "c=3; Domain=127.0.0.1", "d=4; Max-Age=9999", "__Host-e=5; Secure"]
    ),
    min_size=1,
)


@FEW
@given(st.lists(COOKIES, min_size=2, max_size=4))
async def test_no_cookie_of_a_server_is_sent_to_any(cookies: list[list[str]]) -> None:
    answers = [
        media.whole(200, PICTURE, *(f"Set-Cookie: {cookie}" for cookie in each)) for each in cookies
    ]

    async with fetched(*answers) as (server, _files):
        assert len(server.headers) == len(cookies)
        assert not any("cookie" in headers for headers in server.headers)


# K23: a status of success is the answer, whatever follows it.

HEADS = st.sampled_from(
    [b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 201 Created", b"HTTP/1.1 202 N\xe3o"]
)
BEFORE = st.sampled_from([b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\nA: b\r\n\r\n"])
CONTENTS = st.sampled_from(
    [
        b"Content-Length: 0\r\n\r\n",
        b"Content-Length: 100\r\n\r\nabc",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n3\r\nabcdef",
        b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        b"\r\nno length",
        b"Set-Cookie: a=b\r\nX: \xe3\r\nContent-Length: 2\r\n\r\nok",
    ]
)


@FEW
@given(BEFORE, HEADS, CONTENTS)
async def test_success_is_the_answer_whatever_follows_it(
    before: bytes, head: bytes, content: bytes
) -> None:
    receiver = RawReceiver(lambda _number: before + head + b"\r\n" + content)
    poster = Poster(LOOPBACK, Clock(), timeout_seconds=PATIENCE_SECONDS)
    async with receiver.serving() as url:
        result = await post_to(poster, url)

    assert (result.error, len(receiver.requests)) == (None, 1)
    poster.close()


# K22: a receiver that closes without an answer gets a callback once.


@FEW
@given(
    st.sampled_from([b"", b"H", b"HTTP/1.1 200", b"HTTP/1.1 100 Continue\r\n\r\n", b"hello\r\n"])
)
async def test_receiver_that_closes_without_an_answer_gets_one_post(written: bytes) -> None:
    receiver = RawReceiver(lambda _number: written)
    poster = Poster(LOOPBACK, Clock(), timeout_seconds=PATIENCE_SECONDS)
    async with receiver.serving() as url:
        result = await post_to(poster, url)

    assert result.status is None
    assert len(receiver.requests) == 1
    poster.close()


async def post_to(poster: Poster, url: str) -> DeliveryResult:
    return await poster.post(WebhookRequest(uuid.uuid4(), url, "{}", "TOKEN"))
