import asyncio
import socket
from collections.abc import AsyncIterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import TryAgainLater
from gateway.media.fetching import Fetcher
from gateway.media.previewing import read_page
from gateway.media.spooling import BadFile
from gateway.public_address import AddressPolicy
from tests.fixtures import media
from tests.fixtures.media import FarServer
from tests.fixtures.patience import PATIENCE_SECONDS

LOOPBACK = AddressPolicy(allow_http=True, allowed=(IPv4Network("127.0.0.0/8"),))


@pytest.fixture
async def far() -> AsyncIterator[FarServer]:
    async with media.far_server() as far:
        yield far


@pytest.fixture
async def fetcher() -> AsyncIterator[Fetcher]:
    fetcher = Fetcher(LOOPBACK, timeout_seconds=PATIENCE_SECONDS)
    yield fetcher
    await fetcher.close()


def names(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> list[str]:
    """Every name leads to these addresses; returns the names that were asked for."""
    asked: list[str] = []

    async def getaddrinfo(host: str, port: int, **_kind: Any) -> list[Any]:
        asked.append(host)
        kind = socket.SOCK_STREAM
        return [(socket.AF_INET, kind, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    return asked


async def test_a_name_is_resolved_once_and_kept_for_the_server(
    far: FarServer, fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    far.put("/x", media.file(b"hello", "text/plain; charset=x"))
    asked = names(monkeypatch, "127.0.0.1")

    fetched = await fetcher.fetch(
        f"http://files.example:{far.port}/x", tmp_path / "file", max_bytes=10
    )

    assert (fetched.file.path.read_bytes(), fetched.declared_type) == (b"hello", "text/plain")
    assert asked == ["files.example"]
    assert far.hosts == [f"files.example:{far.port}"]


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
async def test_a_name_that_leads_inside_is_not_visited(
    fetcher: Fetcher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    names(monkeypatch, "93.184.216.34", address)

    with pytest.raises(BadFile, match="not public"):
        await fetcher.fetch("http://files.example/x", tmp_path / "file", max_bytes=10)


async def test_an_environments_proxy_is_not_used(
    far: FarServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    fetcher = Fetcher(LOOPBACK, timeout_seconds=PATIENCE_SECONDS)

    fetched = await fetcher.fetch(
        far.put("/x", media.file(b"direct")), tmp_path / "file", max_bytes=10
    )

    assert fetched.file.size_bytes == 6
    await fetcher.close()


@pytest.mark.parametrize(
    ("answer", "wrong"),
    [
        (media.file(b"12345678901"), "is larger"),
        (media.endless, "is larger"),
        (media.whole(200, b"x", "Content-Encoding: gzip"), "sent compressed"),
        (media.whole(204, b""), "answered 204"),
        (media.whole(302, b""), "answered 302"),
        (media.redirect("ftp://127.0.0.1/"), "must begin with"),
    ],
)
async def test_what_will_never_be_right_is_told(
    far: FarServer, fetcher: Fetcher, tmp_path: Path, answer: media.Answer, wrong: str
) -> None:
    with pytest.raises(BadFile, match=wrong):
        await fetcher.fetch(far.put("/x", answer), tmp_path / "file", max_bytes=10)

    assert not (tmp_path / "file").exists()


@pytest.mark.parametrize("answer", [media.status(503), media.broken_off, media.silence])
async def test_trouble_of_the_far_server_may_pass(
    far: FarServer, fetcher: Fetcher, tmp_path: Path, answer: media.Answer
) -> None:
    with pytest.raises(TryAgainLater):
        await fetcher.fetch(
            far.put("/x", answer), tmp_path / "file", max_bytes=10_000, timeout_seconds=0.5
        )

    assert not (tmp_path / "file").exists()


PAGE = """<!DOCTYPE html><html><head><title>Plain</title>
<meta property="og:title" content="  A   &amp; B "><meta name="description" content="About">
<meta property="og:image" content="/picture.png"></head><body>{}</body></html>"""


async def test_a_page_says_what_it_is_about(
    far: FarServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    long_page = PAGE.format("x" * 1_000_000).encode()
    url = far.put("/page", media.redirect("/real/page"))
    far.put("/real/page", media.file(long_page, "text/html; charset=utf-8"))

    preview, image = await read_page(fetcher, url, tmp_path)

    assert (preview.url, preview.title, preview.description) == (url, "A & B", "About")
    assert image == far.url("/picture.png")


async def test_a_page_that_says_nothing_has_its_title(
    far: FarServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    url = far.put("/page", media.file(b"<title>Only this", "text/html"))

    preview, image = await read_page(fetcher, url, tmp_path)

    assert (preview.title, preview.description, image) == ("Only this", None, None)


async def test_what_is_no_page_is_not_read(
    far: FarServer, fetcher: Fetcher, tmp_path: Path
) -> None:
    with pytest.raises(BadFile, match="is not a web page"):
        await read_page(fetcher, far.put("/x", media.file(b"x", "image/png")), tmp_path)
