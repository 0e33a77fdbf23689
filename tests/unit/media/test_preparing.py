"""The files of a message are ready for its attempt, or fail as an attempt does."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.account_turns import AccountTurns, Share
from gateway.clock import Clock
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.messages.media import SendDocument, SendImage
from gateway.contract.zapi.messages.text import SendLink
from gateway.errors import Refused, TryAgainLater
from gateway.media.fetching import Fetcher
from gateway.media.preparing import FileServices, Preparer
from gateway.media.spooling import Spool
from gateway.media.storing import REFERENCE
from gateway.observability.metrics import Metrics
from gateway.public_address import AddressPolicy
from tests.fixtures import media
from tests.fixtures.conversions import new_converter
from tests.fixtures.media import FileServer
from tests.fixtures.patience import PATIENCE_SECONDS

PHONE = "5511999999999"


class Linked(OutgoingMessage):
    """A message with a link."""

    link: str

    def link_to_preview(self) -> str | None:
        return self.link


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    async with media.file_server() as server:
        yield server


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def preparer(tmp_path: Path, metrics: Metrics) -> AsyncIterator[Preparer]:
    policy = AddressPolicy(allow_http=True, allowed=(IPv4Network("127.0.0.0/8"),))
    converter = new_converter()
    fetcher = Fetcher(policy, Clock(), timeout_seconds=PATIENCE_SECONDS)
    services = FileServices(cast("Any", None), fetcher, converter, metrics.media, Clock())
    yield Preparer(services, Spool(tmp_path / "spool"))
    await converter.close()


def image(url: str) -> SendImage:
    return SendImage(phone=PHONE, image=url)


async def test_prepared_files_exist_until_the_block_ends(
    server: FileServer, preparer: Preparer, tmp_path: Path
) -> None:
    url = server.put("/a%20b.webp", media.file(media.picture("WEBP")))

    async with preparer.preparing("i", image(url), account_id="a") as preparing:
        assert await preparing.ended(asyncio.Event())
        (file,) = (await preparing.result()).media.values()
        assert file.path.read_bytes()[:2] == b"\xff\xd8"
        assert (file.mime_type, file.file_name) == ("image/jpeg", "a b.webp")

    assert not list((tmp_path / "spool").iterdir())


async def test_files_are_counted_by_kind_and_outcome(
    server: FileServer, preparer: Preparer, metrics: Metrics
) -> None:
    good = server.put("/good", media.file(media.picture("JPEG")))
    bad = server.put("/bad", media.file(b"no picture"))
    away = server.put("/away", media.status(500))
    sizes = []
    for url in (good, bad, away):
        async with preparer.preparing("i", image(url), account_id="a") as preparing:
            await preparing.ended(asyncio.Event())
            if url == good:
                sizes = [file.size_bytes for file in (await preparing.result()).media.values()]

    def count(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, {"kind": "image", **labels})

    assert [
        count("media_files_total", outcome=each) for each in ("ready", "refused", "failed")
    ] == [
        1,
        1,
        1,
    ]
    assert count("media_bytes_total") == sizes[0] > 0
    assert count("media_preparation_seconds_count") == 3


class EmptyStore:
    """Has no file, and notes that it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def copy_to(self, _file_id: str, _path: Path) -> None:
        self.asked.set()


async def test_stored_file_is_copied_in_the_turn_of_its_account(
    tmp_path: Path, metrics: Metrics
) -> None:
    store, turns, unused = EmptyStore(), AccountTurns(Share(1, 1)), cast("Any", None)
    services = FileServices(cast("Any", store), unused, unused, metrics.media, Clock(), turns)
    preparer = Preparer(services, Spool(tmp_path / "spool"))

    async with preparer.preparing("i", image(REFERENCE + "x"), account_id="a") as preparing:
        async with turns.turn("a"):
            for _ in range(20):
                await asyncio.sleep(0)
            assert not store.asked.is_set()
        await store.asked.wait()
        with pytest.raises(Refused, match="no longer stored"):
            await preparing.result()


async def test_prepared_document_has_the_given_name(server: FileServer, preparer: Preparer) -> None:
    url = server.put("/x", media.file(b"a;b"))
    message = SendDocument(phone=PHONE, document=url, extension="csv", file_name="Report")

    async with preparer.preparing("i", message, account_id="a") as preparing:
        file = (await preparing.result()).media[url]

    assert (file.file_name, file.mime_type) == ("Report.csv", "text/csv")


@pytest.mark.parametrize(
    ("path", "headers", "fields", "shown"),
    [
        ("/x", ("Content-Disposition: attachment; filename=a.csv",), {}, ("a.csv", "text/csv")),
        (
            "/contrato.pdf",
            ("Content-Disposition: attachment; filename*=UTF-8''relat%C3%B3rio.csv",),
            {},
            ("relat\u00f3rio.csv", "text/csv"),
        ),
        (
            "/x",
            ("Content-Disposition: inline; filename=a",),
            {"extension": "csv"},
            ("a.csv", "text/csv"),
        ),
        (
            "/x",
            ("Content-Disposition: inline; filename=a.csv",),
            {"file_name": "b"},
            ("b.txt", "text/plain"),
        ),
        ("/x", ("Content-Type: text/csv; charset=utf-8",), {}, ("document.csv", "text/csv")),
        ("/x", ("Content-Type: image/png",), {}, ("document.txt", "text/plain")),
        ("/a.csv", ("Content-Type: application/octet-stream",), {}, ("a.csv", "text/csv")),
        ("/x", (), {"file_name": "Version 1.2"}, ("Version 1.2.txt", "text/plain")),
    ],
)
async def test_prepared_document_has_the_name_and_type_that_are_said(  # noqa: PLR0917 - fixtures and cases
    server: FileServer,
    preparer: Preparer,
    path: str,
    headers: tuple[str, ...],
    fields: dict[str, str],
    shown: tuple[str, str],
) -> None:
    url = server.put(path, media.whole(200, b"a;b", *headers))
    message = SendDocument(phone=PHONE, document=url, **fields)

    async with preparer.preparing("i", message, account_id="a") as preparing:
        file = (await preparing.result()).media[url]

    assert (file.file_name, file.mime_type) == shown


@pytest.mark.parametrize(
    "answer", [media.status(404), media.status(500), media.file(b"no picture"), media.broken_off]
)
async def test_card_whose_picture_cannot_be_read_is_sent_without_it(
    server: FileServer, preparer: Preparer, answer: media.Answer
) -> None:
    message = SendLink(
        phone=PHONE,
        message="See https://a.example",
        link_url="https://a.example",
        image=server.put("/x", answer),
        title="A",
        link_description="B",
    )

    async with preparer.preparing("i", message, account_id="a") as preparing:
        assert not (await preparing.result()).media


async def test_full_disk_delays_a_file_and_omits_a_preview(
    server: FileServer, preparer: Preparer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("original", "page"):
        (tmp_path / name).symlink_to("/dev/full")
    monkeypatch.setattr("gateway.media.preparing._new_folder", lambda _folder: tmp_path)
    url = server.put("/x", media.file(media.picture()))

    async with preparer.preparing("i", image(url), account_id="a") as preparing:
        with pytest.raises(TryAgainLater, match=r"^The disk of the data directory is full$"):
            await preparing.result()
    async with preparer.preparing("i", Linked(phone=PHONE, link=url), account_id="a") as preparing:
        assert (await preparing.result()).preview is None


async def test_ended_while_leaving_does_not_wait(
    server: FileServer, preparer: Preparer, tmp_path: Path
) -> None:
    leaving = asyncio.Event()
    async with preparer.preparing(
        "i", image(server.put("/x", media.silence)), account_id="a"
    ) as preparing:
        waiting = asyncio.create_task(preparing.ended(leaving))
        leaving.set()
        assert not await waiting

    assert not list((tmp_path / "spool").iterdir())


@pytest.mark.parametrize(
    ("answer", "failure", "reason"),
    [
        (media.file(b"hello"), Refused, "image: is text/plain, not an image"),
        (media.status(404), Refused, "image: cannot be fetched: its server answered 404"),
        (media.status(500), TryAgainLater, "image: its server answered 500"),
    ],
)
async def test_preparation_failure_is_that_of_an_attempt(
    server: FileServer,
    preparer: Preparer,
    answer: media.Answer,
    failure: type[Exception],
    reason: str,
) -> None:
    async with preparer.preparing(
        "i", image(server.put("/x", answer)), account_id="a"
    ) as preparing:
        assert await preparing.ended(asyncio.Event())
        with pytest.raises(failure, match=reason):
            await preparing.result()


async def test_prepared_link_has_preview(server: FileServer, preparer: Preparer) -> None:
    server.put("/picture.png", media.file(media.picture()))
    page = b'<title>Shop</title><meta property="og:image" content="picture.png">'
    url = server.put("/page", media.file(page, "text/html"))

    async with preparer.preparing("i", Linked(phone=PHONE, link=url), account_id="a") as preparing:
        preview = (await preparing.result()).preview

    assert preview is not None
    assert (preview.url, preview.title) == (url, "Shop")
    assert preview.image is not None
    assert preview.image.mime_type == "image/jpeg"


@pytest.mark.parametrize("answer", [media.status(500), media.file(b"x", "image/png")])
async def test_prepared_link_without_readable_page_has_no_preview(
    server: FileServer, preparer: Preparer, answer: media.Answer
) -> None:
    message = Linked(phone=PHONE, link=server.put("/page", answer))

    async with preparer.preparing("i", message, account_id="a") as preparing:
        assert (await preparing.result()).preview is None


@pytest.mark.parametrize(
    "picture", ["http://[bad", "//[", "not a url", "http://a..b/", "\x01", "%00"]
)
async def test_prepared_link_whose_picture_is_no_url_has_no_picture(
    server: FileServer, preparer: Preparer, picture: str
) -> None:
    page = f'<title>Shop</title><meta property="og:image" content="{picture}">'.encode()
    url = server.put("/page", media.file(page, "text/html"))

    async with preparer.preparing("i", Linked(phone=PHONE, link=url), account_id="a") as preparing:
        preview = (await preparing.result()).preview

    assert preview is not None
    assert (preview.title, preview.image) == ("Shop", None)


@pytest.mark.parametrize("location", ["http://a..b/", "//[", "http://a:b/", "\x7f"])
async def test_prepared_link_that_redirects_to_no_url_has_no_preview(
    server: FileServer, preparer: Preparer, location: str
) -> None:
    url = server.put("/page", media.redirect(location))

    async with preparer.preparing("i", Linked(phone=PHONE, link=url), account_id="a") as preparing:
        assert (await preparing.result()).preview is None


async def test_file_that_redirects_to_no_url_is_refused(
    server: FileServer, preparer: Preparer
) -> None:
    url = server.put("/x", media.redirect("http://a..b/"))

    async with preparer.preparing("i", image(url), account_id="a") as preparing:
        with pytest.raises(Refused, match="image: is not a URL"):
            await preparing.result()


async def test_unexpected_failure_of_a_preview_is_no_failure_of_the_text(
    server: FileServer, preparer: Preparer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_parameters: object) -> None:
        raise KeyError("new fault")

    monkeypatch.setattr("gateway.media.preparing.read_page", broken)
    async with preparer.preparing(
        "i", Linked(phone=PHONE, link=server.url("/page")), account_id="a"
    ) as preparing:
        assert (await preparing.result()).preview is None
