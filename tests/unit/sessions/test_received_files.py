"""Files of received messages come from WhatsApp only, and accounts take turns to get them."""

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from gateway.clock import Clock
from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.errors import InvalidRequest
from gateway.media.receiving import MediaLink
from gateway.sessions.events import ReceivedFile
from gateway.sessions.inbound.files import FileLimits, Files
from gateway.whatsapp_web.operations.received_media import at_whatsapp

_PER_ACCOUNT = 3


class HangingSession:
    """Reads files that never come, except those of the reference `quick`."""

    def __init__(self) -> None:
        self.hanging, self.is_full = 0, asyncio.Event()

    async def execute(self, operation: ReadReceivedFile) -> None:
        if operation.reference != b"quick":
            self.hanging += 1
            if self.hanging == _PER_ACCOUNT:
                self.is_full.set()
            await asyncio.Event().wait()


class Links:
    async def store(self, _instance_id: str, _source: object, **_of: object) -> MediaLink:
        return MediaLink("https://gateway.example/file", "image/png")


async def test_files_that_hang_delay_only_their_own_account() -> None:
    session, limits = HangingSession(), FileLimits(at_once=4, per_account=_PER_ACCOUNT)
    files = Files(cast("Any", Links()), Clock(), limits)

    async def fetch(reference: bytes, account_id: str) -> Any:
        file = ReceivedFile("image.imageUrl", reference=reference)
        instance = cast("Any", SimpleNamespace(id="instance", account_id=account_id))
        return await files.fetch(cast("Any", session), instance, (file,))

    hanging = [asyncio.create_task(fetch(b"slow", "hostile")) for _ in range(10)]
    async with asyncio.timeout(10):
        await session.is_full.wait()
        fetched = await fetch(b"quick", "good")
    assert fetched["image.imageUrl"].url
    assert session.hanging == _PER_ACCOUNT
    for task in hanging:
        task.cancel()
    await asyncio.wait(hanging)


@pytest.mark.parametrize(
    "url",
    [
        "https://10.0.0.5/latest/meta-data",
        "http://mmg.whatsapp.net/v/file",
        "https://mmg.whatsapp.net@evil.example/file",
        "https://evilwhatsapp.net/file",
        "https://mmg.whatsapp.net:8443/file",
        "https://[::1/file",
        7,
    ],
)
def test_file_at_an_address_of_its_sender_is_not_asked_for(url: object) -> None:
    with pytest.raises(InvalidRequest, match="names no file"):
        at_whatsapp({"imageMessage": {"URL": url, "mediaKey": "x"}})
    both = {"imageMessage": {"URL": url, "directPath": "/v/file", "mediaKey": "x"}}
    assert at_whatsapp(both) == {"imageMessage": {"directPath": "/v/file", "mediaKey": "x"}}


@pytest.mark.parametrize("path", ["@evil.example/file", ".evil.example/file", ""])
def test_path_that_would_name_another_server_is_dropped(path: str) -> None:
    with pytest.raises(InvalidRequest, match="names no file"):
        at_whatsapp({"audioMessage": {"directPath": path}})


@pytest.mark.parametrize("length", ["2000000000", 2_000_000_000])
def test_file_that_would_not_be_stored_is_not_fetched(length: object) -> None:
    with pytest.raises(InvalidRequest, match="larger"):
        at_whatsapp({"documentMessage": {"directPath": "/v/x", "fileLength": length}})


def test_file_at_whatsapp_keeps_its_addresses() -> None:
    message = {
        "imageMessage": {
            "URL": "https://media-gru2-1.cdn.whatsapp.net/v/x?a=b",
            "directPath": "/v/x",
            "fileLength": "1000",
        },
        "messageContextInfo": {"messageSecret": "c2VjcmV0"},
    }
    assert at_whatsapp(message) == message
