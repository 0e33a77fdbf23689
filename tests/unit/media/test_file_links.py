"""Links to the stored files that sent messages name."""

import hashlib
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from gateway.clock import Clock
from gateway.contract.media import MediaFile
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.messages.media import SendDocument, SendImage
from gateway.contract.zapi.messages.message_actions import ForwardMessage
from gateway.contract.zapi.messages.text import SendText
from gateway.media.file_links import FileLinks, LinkTo
from gateway.media.links import LinkSigner

PHONE, URL = "5511999999999", "https://example.com/image.png"
FILE_ID = hashlib.sha256(b"as given").hexdigest()
OTHER_ID = hashlib.sha256(b"converted").hexdigest()
STORED = f"media:{FILE_ID}"
SIGNER = LinkSigner(("secret",), Clock(), days=1)


async def links_of(
    message: OutgoingMessage, sent: MediaFile | None = None, *, asked: list[str] | None = None
) -> LinkTo:
    async def base_url_of(instance_id: str) -> str:
        if asked is not None:
            asked.append(instance_id)
        return "https://gateway.example"

    files = {STORED: sent} if sent else {}
    return await FileLinks(SIGNER, base_url_of).of_message("I", message, files)


def sent_file(sha256: str, name: str) -> MediaFile:
    return MediaFile(Path("gone"), "image/png", 1, sha256, file_name=name)


@pytest.mark.parametrize(
    ("sha256", "name", "shown"),
    [
        (FILE_ID, "image.png", "image.png"),
        (FILE_ID, "../a/b.pdf", "_a_b.pdf"),
        (OTHER_ID, "image.jpg", FILE_ID[:16]),  # the link leads to the file before conversion
    ],
)
async def test_link_leads_to_the_stored_file(sha256: str, name: str, shown: str) -> None:
    message = SendImage(phone=PHONE, image=STORED)

    link = (await links_of(message, sent_file(sha256, name)))(STORED)

    parts = urlsplit(link or "")
    query = parse_qs(parts.query)
    assert parts.path == f"/media/I/{FILE_ID}/{shown}"
    SIGNER.check("I", FILE_ID, shown, expires=query["expires"][0], signature=query["signature"][0])


async def test_link_of_a_forwarded_message_needs_no_file() -> None:
    message = ForwardMessage(phone=PHONE, message_id="M", message_phone=PHONE)

    link = (await links_of(message))(STORED)

    assert link is not None
    assert f"/media/I/{FILE_ID}/{FILE_ID[:16]}?" in link


@pytest.mark.parametrize(
    "message",
    [SendText(phone=PHONE, message=STORED), SendDocument(phone=PHONE, document=URL)],
    ids=["text", "address"],
)
async def test_message_without_a_stored_file_costs_no_lookup(message: OutgoingMessage) -> None:
    asked: list[str] = []

    link_to = await links_of(message, asked=asked)

    assert (asked, link_to(STORED), link_to(URL)) == ([], None, None)


async def test_address_is_no_stored_file() -> None:
    link_to = await links_of(SendImage(phone=PHONE, image=STORED))

    assert link_to(URL) is None
