"""Fetching stops at limits and refused addresses; failures are permanent or transient."""

import asyncio
import gzip
import random
import socket
import zlib
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import brotli
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.clock import Clock
from gateway.errors import TryAgainLater
from gateway.media.converting import Converter
from gateway.media.fetching import Fetcher
from gateway.media.previewing import read_page
from gateway.media.spooling import BadFile
from gateway.outbound.content_coding import decoded, decoders_of
from gateway.outbound.slots import SlotLimits
from gateway.public_address import AddressPolicy
from tests.fixtures import media
from tests.fixtures.conversions import new_converter
from tests.fixtures.media import FileServer
from tests.fixtures.patience import PATIENCE_SECONDS

LOOPBACK = AddressPolicy(allow_http=True, allowed=(IPv4Network("127.0.0.0/8"),))


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    async with media.file_server() as server:
        yield server


@pytest.fixture
def fetcher() -> Fetcher:
    return Fetcher(LOOPBACK, Clock(), timeout_seconds=PATIENCE_SECONDS)


@pytest.fixture
async def converter() -> AsyncIterator[Converter]:
    converter = new_converter()
    yield converter
    await converter.close()


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Resolves every name to these addresses; returns the names that were resolved."""
    resolved: list[str] = []

    def getaddrinfo(host: str, port: int, **_kind: Any) -> list[Any]:
        resolved.append(host)
        kind = socket.SOCK_STREAM
        return [(socket.AF_INET, kind, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return resolved


async def test_fetch_resolves_name_once_and_sends_it_as_host(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.put("/x", media.file(b"hello", "text/plain; charset=x"))
    resolved = names(monkeypatch, "127.0.0.1")

    fetched = await fetcher.fetch(
        f"http://files.example:{server.port}/x", tmp_path / "file", owner="a", max_bytes=10
    )

    assert (fetched.file.path.read_bytes(), fetched.declared_type) == (b"hello", "text/plain")
    assert resolved == ["files.example"]
    assert server.hosts == [f"files.example:{server.port}"]


@pytest.mark.parametrize(
    "address",
    [
        "10.0.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::a00:1",
        "2002:a00:1::",
    ],
)
async def test_fetch_name_with_private_address_is_refused(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    names(monkeypatch, "93.184.216.34", address)

    with pytest.raises(BadFile, match="not public"):
        await fetcher.fetch("http://files.example/x", tmp_path / "file", owner="a", max_bytes=10)


async def test_fetch_ignores_proxy_of_environment(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    fetcher = Fetcher(LOOPBACK, Clock(), timeout_seconds=PATIENCE_SECONDS)

    fetched = await fetcher.fetch(
        server.put("/x", media.file(b"direct")), tmp_path / "file", owner="a", max_bytes=10
    )

    assert fetched.file.size_bytes == 6


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (media.file(b"12345678901"), "is larger"),
        (media.endless, "is larger"),
        (media.whole(200, b"x", "Content-Encoding: gzip"), "compressed content that cannot"),
        (media.whole(200, b"\x1f\x8b broken", "Content-Encoding: gzip"), "that cannot be read"),
        (media.whole(200, b"\xff" * 9, "Content-Encoding: br"), "that cannot be read"),
        (media.whole(200, b"x", "Content-Encoding: zstd"), "as zstd, which is not supported"),
        (media.whole(200, b"x", "Content-Encoding: br, br, br, br"), "more than 3 times"),
        (media.whole(204, b""), "answered 204"),
        (media.whole(205, b""), "answered 205"),
        (media.whole(206, b"x", "Content-Range: bytes 0-0/9"), "with a part of it"),
        (media.whole(206, b"x", "Content-Range: bytes 8-8/9"), "with a part of it"),
        (media.whole(200, gzip.compress(bytes(11)), "Content-Encoding: gzip"), "is larger"),
        (media.whole(302, b""), "answered 302"),
        (media.redirect("ftp://127.0.0.1/"), "must begin with"),
        (media.redirect("http://10.0.0.1/"), "not public"),
        (media.redirect("http://user:secret@127.0.0.1/"), "must not hold a user name"),
        (media.redirect("http://127.0.0.1:x/"), "not a URL"),
        (media.endless_continue, "more than 10 informational responses"),
    ],
)
async def test_fetch_permanent_failure_raises_bad_file(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, answer: media.Answer, wrong: str
) -> None:
    with pytest.raises(BadFile, match=wrong):
        await fetcher.fetch(server.put("/x", answer), tmp_path / "file", owner="a", max_bytes=10)

    assert not (tmp_path / "file").exists()


def _raw_deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(content) + packer.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZIP": lambda content: gzip.compress(content[:9]) + gzip.compress(content[9:]),  # two members
    " gzip ": lambda content: gzip.compress(content) + b"\0\0\0 rest",
    "deflate": zlib.compress,
    "Deflate": _raw_deflate,
    "br": brotli.compress,
    "gzip, br": lambda content: brotli.compress(gzip.compress(content)),
    "aws-chunked, gzip": gzip.compress,
}
NO_CODINGS = ["identity", "", "aws-chunked", "UTF-8", "none", "binary", "utf8, none", "x", "gzip"]


@settings(
    deadline=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    block=st.binary(min_size=20, max_size=200),
    times=st.integers(1, 4_500),
    coding=st.sampled_from([*CODINGS]),
    step=st.integers(1, 70_000),
)
@example(block=bytes(37), times=2_657, coding="br", step=1)  # ends with output to come
async def test_compressed_content_is_decoded_in_small_pieces(
    block: bytes, times: int, coding: str, step: int
) -> None:
    content = block * times
    packed = CODINGS[coding](content)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(packed), max(step, len(packed) // 50)):
            yield packed[at : at + max(step, len(packed) // 50)]

    shown = [piece async for piece in decoded(pieces(), decoders_of(coding))]

    assert b"".join(shown) == content
    assert max(map(len, shown)) <= 128 * 1024


@pytest.mark.parametrize("coding", [*CODINGS])
@pytest.mark.parametrize("step", [1, 2, 3])
async def test_content_is_decoded_wherever_it_is_cut(coding: str, step: int) -> None:
    content = bytes(range(60))
    packed = CODINGS[coding](content)

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(packed), step):
            yield packed[at : at + step]

    shown = [piece async for piece in decoded(pieces(), decoders_of(coding))]

    assert b"".join(shown) == content


@pytest.mark.parametrize("coding", [*CODINGS])
async def test_fetch_decodes_what_was_compressed(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, coding: str
) -> None:
    content = media.picture()
    answer = media.whole(200, CODINGS[coding](content), f"Content-Encoding: {coding}")

    fetched = await fetcher.fetch(
        server.put("/x", answer), tmp_path / "file", owner="a", max_bytes=10_000
    )

    assert fetched.file.path.read_bytes() == content


@pytest.mark.parametrize("coding", NO_CODINGS)
async def test_fetch_ignores_codings_that_are_none(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, coding: str
) -> None:
    answer = media.whole(200, media.picture(), f"Content-Encoding: {coding}")

    fetched = await fetcher.fetch(
        server.put("/x", answer), tmp_path / "file", owner="a", max_bytes=10_000
    )

    assert fetched.file.path.read_bytes() == media.picture()


@pytest.mark.parametrize("name", ["/backup.tar.gz", "/x"])
async def test_fetch_keeps_a_gzip_file_that_is_said_to_be_compressed(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, name: str
) -> None:
    packed = gzip.compress(b"hello")
    headers = ("Content-Encoding: gzip", "Content-Type: application/x-gzip")
    answer = media.whole(200, packed, *headers[: 1 if name.endswith("gz") else 2])

    fetched = await fetcher.fetch(
        server.put(name, answer), tmp_path / "file", owner="a", max_bytes=100
    )

    assert fetched.file.path.read_bytes() == packed


@pytest.mark.parametrize(
    ("coding", "packed"),
    [
        ("gzip", gzip.compress(bytes(200 * 1024 * 1024), 1, mtime=0)),
        ("br", brotli.compress(bytes(200 * 1024 * 1024), quality=1)),
        ("gzip", gzip.compress(b"", mtime=0) * 100_000),
    ],
    ids=["gzip", "br", "empty members"],
)
async def test_fetch_of_a_bomb_stops_at_the_limit(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, coding: str, packed: bytes
) -> None:
    url = server.put("/x", media.unknown_length(packed, f"Content-Encoding: {coding}"))
    with pytest.raises(BadFile, match="is larger than 0 MiB"):
        await fetcher.fetch(url, tmp_path / "file", owner="a", max_bytes=500_000)

    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br"])
async def test_fetch_of_compressed_content_that_ends_early_is_tried_again(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, coding: str
) -> None:
    packed = CODINGS[coding](random.Random(1).randbytes(5_000))
    url = server.put("/x", media.unknown_length(packed[:-100], f"Content-Encoding: {coding}"))
    with pytest.raises(TryAgainLater, match="too early"):
        await fetcher.fetch(url, tmp_path / "file", owner="a", max_bytes=10_000)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (201, ()),
        (202, ()),
        (203, ()),
        (206, ()),
        (206, ("Content-Range: bytes 0-4/5",)),
        (206, ("Content-Range: bytes 0-4/*",)),
        (226, ()),
        (299, ()),
    ],
)
async def test_fetch_takes_the_file_of_any_success(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, status: int, headers: tuple[str, ...]
) -> None:
    url = server.put("/x", media.whole(status, b"hello", *headers))

    fetched = await fetcher.fetch(url, tmp_path / "file", owner="a", max_bytes=10)

    assert fetched.file.path.read_bytes() == b"hello"


async def test_fetch_of_tiny_chunks_is_given_up(
    server: FileServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    url = server.put("/x", media.tiny_chunks)
    with pytest.raises(BadFile, match="pieces that are too small"):
        await fetcher.fetch(url, tmp_path / "file", owner="a", max_bytes=10_000_000)


async def test_fetch_sends_no_cookie_and_no_login(
    server: FileServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    cookies = ("Set-Cookie: a=1; Path=/", "WWW-Authenticate: Basic")
    url = server.put("/x", media.whole(302, b"", f"Location: {server.url('/y')}", *cookies))
    server.put("/y", media.whole(200, b"ok", *cookies))
    for _ in range(2):
        await fetcher.fetch(url, tmp_path / "file", owner="a", max_bytes=10)

    assert server.requested == ["/x", "/y"] * 2
    sent = {"host", "accept", "accept-encoding", "connection", "user-agent"}
    assert server.headers == [sent] * 4


async def test_fetch_of_hanging_urls_leaves_slots_to_another_account(
    server: FileServer, tmp_path: Path
) -> None:
    limits = SlotLimits(total=4, per_account=2, per_host=4)
    fetcher = Fetcher(LOOPBACK, Clock(), timeout_seconds=PATIENCE_SECONDS, slots=limits)
    hanging = server.put("/hanging", media.silence)
    tasks = [
        asyncio.create_task(
            fetcher.fetch(hanging, tmp_path / str(n), owner="hostile", max_bytes=10)
        )
        for n in range(20)
    ]
    file = server.put("/x", media.file(b"hello"))
    fetched = await fetcher.fetch(file, tmp_path / "file", owner="good", max_bytes=10)

    assert fetched.file.size_bytes == 5
    assert server.requested.count("/hanging") <= 2
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("answer", [media.status(503), media.broken_off, media.silence])
async def test_fetch_server_failure_raises_try_again(
    server: FileServer, fetcher: Fetcher, tmp_path: Path, answer: media.Answer
) -> None:
    with pytest.raises(TryAgainLater):
        await fetcher.fetch(
            server.put("/x", answer),
            tmp_path / "file",
            owner="a",
            max_bytes=10_000,
            timeout_seconds=0.5,
        )

    assert not (tmp_path / "file").exists()


PAGE = """<!DOCTYPE html><html><head><title>Plain</title>
<meta property="og:title" content="  A   &amp; B "><meta name="description" content="About">
<meta property="og:image" content="/picture.png"></head><body>{}</body></html>"""


async def test_read_page_returns_title_description_and_image(
    server: FileServer, fetcher: Fetcher, converter: Converter, tmp_path: Path
) -> None:
    long_page = PAGE.format("x" * 1_000_000).encode()
    url = server.put("/page", media.redirect("/real/page"))
    server.put("/real/page", media.file(long_page, "text/html; charset=utf-8"))

    preview, image = await read_page(fetcher, converter, url, tmp_path, instance_id="i", owner="a")

    assert (preview.url, preview.title, preview.description) == (url, "A & B", "About")
    assert image == server.url("/picture.png")


async def test_read_page_without_meta_uses_title(
    server: FileServer, fetcher: Fetcher, converter: Converter, tmp_path: Path
) -> None:
    url = server.put("/page", media.file(b"<title>Only this", "text/html"))

    preview, image = await read_page(fetcher, converter, url, tmp_path, instance_id="i", owner="a")

    assert (preview.title, preview.description, image) == ("Only this", None, None)


async def test_read_page_of_other_type_is_refused(
    server: FileServer, fetcher: Fetcher, converter: Converter, tmp_path: Path
) -> None:
    with pytest.raises(BadFile, match="is not a web page"):
        await read_page(
            fetcher,
            converter,
            server.put("/x", media.file(b"x", "image/png")),
            tmp_path,
            instance_id="i",
            owner="a",
        )
