"""Files of a request or a URL reach the phone; received files are served by signed link."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, LiteralString
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from gateway.clock import Clock
from gateway.media.links import LinkSigner
from tests.fixtures import media
from tests.fixtures.media import FileServer
from tests.fixtures.service import (
    Client,
    NewHouse,
    RunningGateway,
    client_of,
    running_gateway,
    until,
)

PHONE = "5511999999999"


SHORT_TIMEOUTS = {
    "GATEWAY_MEDIA_TIMEOUT_SECONDS": "2.5",  # longer than the patience for a file
    "GATEWAY_MAX_ATTEMPTS": "2",
    "GATEWAY_SANDBOX_RECEIPTS": "off",
}


@pytest.fixture
def gateway(tmp_path: Path, database_url: str) -> Iterator[RunningGateway]:
    with running_gateway(tmp_path, database_url, **SHORT_TIMEOUTS) as gateway:
        asyncio.run(gateway.ready())
        yield gateway


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(**SHORT_TIMEOUTS) as gateway:
        yield gateway


@pytest.fixture
async def server() -> AsyncIterator[FileServer]:
    async with media.file_server() as server:
        yield server


async def send(client: Client, path: str, **body: Any) -> httpx.Response:
    return await client.call("POST", path, json={"phone": PHONE, **body})


async def accepted(client: Client, path: str, **body: Any) -> str:
    answer = await send(client, path, **body)
    assert answer.status_code == 200, answer.text
    message_id: str = answer.json()["messageId"]
    return message_id


async def rows_of(database_url: str, statement: LiteralString) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(database_url) as connection:
        return await (await connection.execute(statement)).fetchall()


def data_uri(content: bytes, mime_type: str) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


KINDS = [
    ("/send-image", "image", media.picture(), "image/png"),
    ("/send-sticker", "sticker", media.picture("JPEG"), "image/webp"),
    ("/send-gif", "gif", media.moving_picture(), "video/mp4"),
    ("/send-audio", "audio", media.sound(), "audio/ogg; codecs=opus"),
    ("/send-video", "video", media.video(), "video/mp4"),
    ("/send-ptv", "ptv", media.video(), "video/mp4"),
    ("/send-document/pdf", "document", b"%PDF-1.4 hello", "application/pdf"),
    ("/send-document", "document", b"%PDF-1.4 hello", "application/pdf"),
    ("/send-image-status", "image", media.picture(), "image/png"),
    ("/send-video-status", "video", media.video(), "video/mp4"),
    ("/send-audio-status", "audio", media.sound(), "audio/ogg; codecs=opus"),
]


async def test_every_media_kind_is_sent_by_url_data_uri_and_base64(
    client: Client, server: FileServer
) -> None:
    ids = []
    for path, name, content, _ in KINDS:
        url = server.put(f"/{name}", media.file(content))
        for source in (
            url,
            data_uri(content, "application/x-lie"),
            base64.b64encode(content).decode(),
        ):
            ids += [await accepted(client, path, **{name: source})]

    arrived = {row["messageId"]: row for row in await client.sent_at_least(3 * len(KINDS))}
    sent = [arrived[message_id] for message_id in ids]  # a status may pass a chat that waits

    assert not [row for row in sent if len(row["payload"]["files"]) != 1]
    seen = [row["payload"]["files"][0]["mimeType"] for row in sent]
    assert seen == [mime_type for _, _, _, mime_type in KINDS for _ in range(3)]
    by_url, by_uri, by_base64 = (row["payload"]["files"][0] for row in sent[:3])
    digest = hashlib.sha256(KINDS[0][2]).hexdigest()
    assert by_url["sha256"] == by_uri["sha256"] == by_base64["sha256"] == digest
    assert (by_url["width"], by_url["height"], by_url["size"]) == (120, 80, len(KINDS[0][2]))
    assert by_uri["source"] == by_base64["source"] == f"media:{digest}"
    voice = sent[9]["payload"]["files"][0]
    assert voice["duration"] == pytest.approx(2.0, abs=0.05)
    assert len(voice["waveform"]) == 64
    assert {row["phone"] for row in sent[-9:]} == {"status@broadcast"}


async def test_same_bytes_are_stored_once(client: Client, gateway: RunningGateway) -> None:
    content = base64.b64encode(media.picture()).decode()
    for _ in range(3):
        await accepted(client, "/send-image", image=content)
    await client.sent_at_least(3)

    stored = [file for file in (gateway.data_dir / "media").rglob("*") if file.is_file()]

    assert [file.name for file in stored] == [hashlib.sha256(media.picture()).hexdigest()]

    async def spooled() -> list[str]:
        return [folder.name for folder in (gateway.data_dir / "spool").iterdir()]

    # A message is "sent" before the folder of its file is deleted, so a look may come between.
    assert await until(spooled, lambda names: not names) == []


async def test_large_file_in_body_is_stored(client: Client) -> None:
    content = media.picture("BMP", (1_500, 1_000))
    text = base64.b64encode(content).decode()
    bodies = [
        f'{{"phone":"{PHONE}","image":"{text}","caption":"one"}}',
        # As PHP, C# and MIME encoders write it.
        f'{{"image":"{text.replace("/", chr(92) + "/")}","phone":"{PHONE}","caption":"two"}}',
        '{"image":"'
        + text.replace("+", chr(92) + "u002B")
        + f'","phone":"{PHONE}","caption":"three"}}',
        '{"image":"'
        + (chr(92) + "r" + chr(92) + "n").join(text[n : n + 76] for n in range(0, len(text), 76))
        + f'","phone":"{PHONE}","caption":"four"}}',
    ]
    for body in bodies:
        answer = await client.call(
            "POST", "/send-image", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 200, answer.text

    sent = await client.sent_at_least(4)

    assert [row["payload"]["caption"] for row in sent] == ["one", "two", "three", "four"]
    digest = hashlib.sha256(content).hexdigest()
    assert {row["payload"]["image"] for row in sent} == {f"media:{digest}"}


@pytest.mark.parametrize(
    ("image", "wrong"),
    [
        ("data:image/png;base64,iVBORw0KG", "image: is not valid base64"),
        ("data:image/png;base64,====", "image: is not valid base64"),
        ("data:image/png;base64,", "image: is an empty file"),
        ("data:image/png,hello", "image: is not valid base64"),
        ("not base64 at all!", "image: must be a URL or base64"),
        ("ftp://example.com/x.png", "image: must be a URL or base64"),
        ("media:" + "0" * 64, "image: must be a URL or base64"),
        ("http://10.0.0.1/x.png", "image: leads to an address that is not public"),
        ("http://[64:ff9b::a00:1]/x", "image: leads to an address that is not public"),
        ("https://user:word@example.com/", "image: must not hold a user name or password"),
        ("A" * 300_000 + "!!!!", "image: is not valid base64"),
        ("A" * 24_000_000, "image: is larger than 16 MiB"),
    ],
)
async def test_field_without_file_is_refused(client: Client, image: str, wrong: str) -> None:
    answer = await send(client, "/send-image", image=image)

    assert (answer.status_code, answer.json()["error"]) == (400, wrong)


async def test_text_too_long_is_refused_with_its_field(client: Client) -> None:
    answer = await send(
        client, "/send-image", image="https://example.com/x.png", caption="A" * 400_000
    )

    assert (answer.status_code, answer.json()["error"]) == (
        400,
        "caption: is too long for a text; shorten it",
    )


async def test_body_of_200_megabytes_is_refused(client: Client) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"phone":"5511999999999","image":"'
        for _ in range(200):
            yield b"A" * 1_048_576

    answer = await client.call(
        "POST", "/send-image", content=body(), headers={"Content-Type": "application/json"}
    )

    assert answer.status_code == 413


async def test_permanent_failure_of_file_server_ends_message(
    client: Client, server: FileServer, database_url: str
) -> None:
    page = server.put(
        "/page", media.file(b"<!DOCTYPE html><html><body>hi</body></html>", "image/png")
    )
    cases = {
        server.put("/gone", media.status(404)): "answered 404",
        page: "is text/html, not an image",
        server.put("/private", media.redirect("http://10.1.2.3/x.png")): "is not public",
        server.put("/loop", media.redirect("/loop")): "redirects more than 5 times",
        server.put("/endless", media.endless): "is larger than 16 MiB",
        server.put("/empty", media.file(b"")): "is an empty file",
        server.put("/cut", media.file(media.picture()[:40])): "cannot be read",
    }
    for url in cases:
        await accepted(client, "/send-image", image=url)
    await accepted(client, "/send-text", message="the queue goes on")

    sent = await client.sent_at_least(1)

    assert sent[0]["type"] == "send-text"
    rows = await rows_of(
        database_url,
        "select last_error, attempts from message_queue where status = 'failed' "
        "order by sequence_number",
    )
    assert {attempts for _, attempts in rows} == {1}
    for (error, _), reason in zip(rows, cases.values(), strict=True):
        assert error.startswith("image: ")
        assert reason in error


async def test_temporary_failure_of_file_server_is_retried(
    client: Client, server: FileServer
) -> None:
    good = media.file(media.picture())
    for name, trouble in {
        "500": media.status(500),
        "429": media.status(429),
        "silent": media.silence,
        "broken": media.broken_off,
    }.items():
        await accepted(
            client, "/send-image", image=server.put(f"/{name}", trouble, good), caption=name
        )

    sent = await client.sent_at_least(4)

    assert [row["payload"]["caption"] for row in sent] == ["500", "429", "silent", "broken"]
    # A file that fails before its turn is fetched again at its turn.
    assert set(server.requested) == {"/500", "/429", "/silent", "/broken"}
    assert all(server.requested.count(path) >= 2 for path in server.requested)


async def test_redirect_to_allowed_address_is_followed(client: Client, server: FileServer) -> None:
    server.put("/real.png", media.file(media.picture()))
    await accepted(client, "/send-image", image=server.put("/moved", media.redirect("/real.png")))

    (sent,) = await client.sent_at_least(1)

    assert sent["payload"]["files"][0]["size"] == len(media.picture())


async def test_slow_file_blocks_its_queue_and_can_be_cancelled(
    client: Client, server: FileServer
) -> None:
    await accepted(client, "/send-image", image=server.put("/slow", media.silence))
    await until(lambda: _requests(server), bool)

    cleared = await client.call("DELETE", "/queue")
    await accepted(client, "/send-text", message="next")

    assert cleared.json()["removed"] == 1
    sent = await client.sent_at_least(1)
    assert [row["type"] for row in sent] == ["send-text"]


async def test_file_that_hangs_lets_a_text_to_another_person_pass(
    client: Client, server: FileServer
) -> None:
    url = server.put("/hangs", media.silence, media.file(media.picture()))
    await accepted(client, "/send-image", image=url, caption="late")
    await accepted(client, "/send-text", message="behind it")
    await accepted(client, "/send-text", phone="5511999999998", message="to another person")

    (first,) = await client.sent_at_least(1)
    listed = await until(  # the first is sent shortly before it leaves the queue
        lambda: client.call("GET", "/queue"), lambda answer: len(answer.json()) == 2
    )
    waiting = listed.json()
    sent = await client.sent_at_least(3)

    assert first["payload"]["message"] == "to another person"
    assert [(item["Type"], item["WaitingFor"]) for item in waiting] == [
        ("send-image", "file"),
        ("send-text", "chat"),
    ]
    assert waiting[0]["WaitingReason"] == "Its file is being fetched."
    assert [row["type"] for row in sent] == ["send-text", "send-image", "send-text"]


async def _requests(server: FileServer) -> list[str]:
    await asyncio.sleep(0)
    return server.requested


async def test_received_file_callback_holds_link(
    client: Client, server: FileServer, database_url: str
) -> None:
    content = media.picture()
    url = server.put("/received.png", media.file(content))
    await client.control("receive", phone=PHONE, image={"source": url, "caption": "look"})
    await client.control(
        "receive",
        phone=PHONE,
        document={
            "source": base64.b64encode(b"<html><script>1</script></html>").decode(),
            "fileName": "p\u00e1g.html",
        },
    )
    await client.control(
        "receive", phone=PHONE, audio={"source": server.url("/nothing"), "ptt": True}
    )

    image, document, audio = await _received(database_url, 3)

    assert image["image"]["mimeType"] == "image/png"
    assert image["image"]["caption"] == "look"
    assert "answered 404" in audio["audio"]["downloadError"]
    served = await client.http.get(image["image"]["imageUrl"])
    assert served.content == content
    served = await client.http.get(document["document"]["documentUrl"])
    assert served.headers["content-disposition"].startswith("attachment")
    assert served.headers["x-content-type-options"] == "nosniff"
    assert served.headers["content-security-policy"].startswith("sandbox")
    part = await client.http.get(image["image"]["imageUrl"], headers={"Range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert part.headers["content-range"] == f"bytes 1-3/{len(content)}"
    beyond = await client.http.get(image["image"]["imageUrl"], headers={"Range": "bytes=99999-"})
    assert beyond.status_code == 416
    head = await client.http.head(image["image"]["imageUrl"])
    assert (head.headers["content-length"], head.content) == (str(len(content)), b"")
    forged = await client.http.get(image["image"]["imageUrl"].replace("expires=", "expires=9"))
    assert (forged.status_code, forged.json()["error"]) == (403, "This link is not valid")


async def test_link_of_a_received_file_works_for_every_name(
    client: Client, database_url: str
) -> None:
    names = [
        "a/b.pdf",
        "../../up.pdf",
        "..",
        "line\nbreak.pdf",
        "\u202efdp.exe",
        "\u4e2d" * 300,
        "%2F?#",
    ]
    for name in names:
        source = base64.b64encode(b"%PDF-1.4 hello").decode()
        await client.control("receive", phone=PHONE, document={"source": source, "fileName": name})

    for received in await _received(database_url, len(names)):
        served = await client.http.get(received["document"]["documentUrl"])
        assert (served.status_code, served.content) == (200, b"%PDF-1.4 hello"), received
        assert served.headers["content-disposition"].startswith("attachment")


@pytest.mark.parametrize(
    "image", ["not a url", "https://[bad", "https://a..b/c.png", "ftp://example.com/a.png"]
)
async def test_link_whose_picture_is_no_url_is_refused(client: Client, image: str) -> None:
    link = {"message": "See https://example.com", "linkUrl": "https://example.com"}
    answer = await client.call("POST", "/send-link", json={"phone": PHONE, **link, "image": image})

    assert answer.status_code == 400
    assert answer.json()["error"].startswith("image: ")


async def test_link_with_an_escaped_slash_still_works(
    client: Client, gateway: RunningGateway, database_url: str
) -> None:
    """Earlier releases made such links; they were answered 404."""
    source = base64.b64encode(b"hello").decode()
    await client.control("receive", phone=PHONE, document={"source": source, "fileName": "a.txt"})
    (received,) = await _received(database_url, 1)
    link = urlsplit(received["document"]["documentUrl"])
    _, _, instance_id, file_id, _ = link.path.split("/")
    secret = (gateway.data_dir / "secret.key").read_text().strip()
    old = LinkSigner([secret], Clock(), days=1).link_to(
        instance_id, file_id, "a/b.txt", base_url=gateway.base_url
    )

    assert (await client.http.get(old)).content == b"hello"


async def _received(database_url: str, count: int) -> list[dict[str, Any]]:
    rows = await until(
        lambda: rows_of(
            database_url,
            "select payload from messages where status = 'received' order by created_at",
        ),
        lambda rows: len(rows) >= count,
    )
    return [row[0] for row in rows]


async def test_stored_files_survive_a_crash(tmp_path: Path, database_url: str) -> None:
    with running_gateway(
        tmp_path, database_url, GATEWAY_PACE_MIN_SECONDS="5", GATEWAY_PACE_MAX_SECONDS="5"
    ) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            await accepted(client, "/send-image", image=base64.b64encode(media.picture()).decode())
            gateway.kill()
            gateway.start()
            await gateway.ready()
            (sent,) = await client.sent_at_least(1)

    assert sent["payload"]["files"][0]["size"] == len(media.picture())


async def test_link_message_holds_preview_of_its_page(client: Client, server: FileServer) -> None:
    server.put("/picture.png", media.file(media.picture()))
    page = b'<title>Shop</title><meta property="og:image" content="/picture.png">'
    url = server.put("/page", media.file(page, "text/html"))
    await accepted(
        client, "/send-link", message="See", linkUrl=server.put("/no", media.status(500))
    )
    await accepted(client, "/send-link", message=f"See {url}", linkUrl=url)

    without, with_card = await client.sent_at_least(2)
    for count in range(3, 8):  # its picture may be made too late
        if "image" in with_card["payload"].get("preview", {}):
            break
        await accepted(client, "/send-link", message=f"See {url}", linkUrl=url)
        *_, with_card = await client.sent_at_least(count)

    preview = with_card["payload"]["preview"]
    assert (preview["url"], preview["title"]) == (url, "Shop")
    assert preview["image"]["mimeType"] == "image/jpeg"
    assert "preview" not in without["payload"]


async def test_nested_files_are_stored_and_fetched(client: Client, server: FileServer) -> None:
    url = server.put("/x.png", media.file(media.picture()))
    inline = base64.b64encode(media.picture("JPEG")).decode()
    button = {"type": "REPLY", "label": "Yes"}
    cards = [{"text": "one", "image": url, "buttons": [button]}]
    cards += [{"text": "two", "image": inline, "buttons": [button]}]
    await accepted(client, "/send-carousel", message="Look", carousel=cards)

    (sent,) = await client.sent_at_least(1)

    stored = [card["image"] for card in sent["payload"]["carousel"]]
    assert stored == [url, f"media:{hashlib.sha256(media.picture('JPEG')).hexdigest()}"]
    assert [file["source"] for file in sent["payload"]["files"]] == stored
