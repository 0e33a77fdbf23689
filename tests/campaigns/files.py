"""Sends files of about fifty kinds through a gateway, and prints what arrived.

    PYTHONPATH=. .venv/bin/python -m tests.campaigns.files

The files are built here, and fetched by the gateway from a file server of this process. A phone
would show what the table says: the type, the size and the name of each file that was sent.
"""

import asyncio
import base64
import gzip
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import httpx

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.campaigns.hostile_servers import add_account, connected
from tests.fixtures import media
from tests.fixtures.heic import Photo, gradient
from tests.fixtures.media import FileServer
from tests.fixtures.office import ole, pkcs12, zip_of
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Client, client_of, running_gateway, until
from tests.fixtures.videos import VideoForm, video_in

_PHONE = "5511999999999"
_SECONDS = 120.0
_ROW = "{:<34} {:<14} {:>9} {:>6}  {}"
_ENDED = frozenset({"sent", "failed", "delivered", "read", "played"})


@dataclass(frozen=True, slots=True)
class Sample:
    """A file, the route that sends it, and the text that names it in the request."""

    name: str
    route: str
    content: Callable[[], bytes]
    path: str = ""
    headers: Sequence[str] = ()
    status: int = 200
    spelled: Callable[[bytes], str] | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def media_field(self) -> str:
        return self.route.removeprefix("send-").partition("/")[0].replace("link", "image")

    def text(self, content: bytes, server: FileServer, number: int) -> str:
        if self.spelled:
            return self.spelled(content)
        answer = media.whole(self.status, content, *self.headers)
        return server.put(f"/{number}/{self.path or 'file'}", answer)


def _base64(content: bytes, before: str = "", *, safe: bool = False, padded: bool = True) -> str:
    text = (base64.urlsafe_b64encode if safe else base64.b64encode)(content).decode()
    return before + (text if padded else text.rstrip("="))


def _video(*form: Any, **more: Any) -> Callable[[], bytes]:
    return lambda: video_in(VideoForm(*form, **more))


def _as(content: bytes) -> Callable[[], bytes]:
    return lambda: content


_HEIC = Photo(gradient((4_032, 3_024)), quarters=3, orientation=6)
_CARD = {"message": "See https://a.example", "linkUrl": "https://a.example"}
_CARD |= {"title": "A", "linkDescription": "B"}
_DISPOSITION = "Content-Disposition: attachment; filename*=UTF-8''relat%C3%B3rio.csv"
_URL_SAFE = b"<<???>>" + media.picture()

SAMPLES = (
    Sample("PNG", "send-image", media.picture),
    Sample("JPEG", "send-image", partial(media.picture, "JPEG")),
    Sample("JPEG without its end", "send-image", lambda: media.picture("JPEG")[:-20]),
    Sample("PNG, first half", "send-image", lambda: media.picture("PNG", (640, 480))[:900]),
    Sample("HEIC, 48 tiles, turned", "send-image", _HEIC.heic, "IMG_0001.HEIC"),
    Sample("HEIC as a document", "send-document", _HEIC.heic, "IMG_0001.HEIC"),
    Sample("HEIC as a sticker", "send-sticker", Photo(gradient((800, 600))).heic),
    Sample("WebP", "send-image", partial(media.picture, "WEBP")),
    Sample("AVIF", "send-image", partial(media.picture, "AVIF")),
    Sample("TIFF", "send-image", partial(media.picture, "TIFF")),
    Sample("BMP", "send-image", partial(media.picture, "BMP")),
    Sample("GIF", "send-gif", media.moving_picture),
    Sample("MP4, H.264, AAC", "send-video", _video("mp4", "libx264")),
    Sample("MOV, H.264, turned", "send-video", _video("mov", "libx264", turned=-90)),
    Sample("MOV, HEVC 10 bit", "send-video", _video("mov", "libx265", "aac", "yuv420p10le")),
    Sample("MP4, H.264 4:4:4", "send-video", _video("mp4", "libx264", "aac", "yuv444p")),
    Sample("MKV, H.264, AAC", "send-video", _video("matroska", "libx264")),
    Sample("MKV, H.264, AC-3", "send-video", _video("matroska", "libx264", "ac3")),
    Sample("WebM, VP9, Opus", "send-video", _video("webm", "libvpx-vp9", "libopus")),
    Sample("AVI, MPEG-4, MP3", "send-video", _video("avi", "mpeg4", "libmp3lame")),
    Sample("WMV", "send-video", _video("asf", "wmv2", "wmav2")),
    Sample("FLV", "send-video", _video("flv", "flv", "libmp3lame")),
    Sample("MPEG", "send-video", _video("mpeg", "mpeg1video", "mp2", rate=25)),
    Sample("MPEG-TS named .ts", "send-video", _video("mpegts", "libx264"), "film.ts"),
    Sample("3GP, H.263, AMR", "send-video", _video("3gp", "h263", "libopencore_amrnb")),
    Sample("ProRes as a round video", "send-ptv", _video("mov", "prores_ks", None, "yuv422p10le")),
    Sample("WebM, 11 minutes", "send-video", _video("webm", "libvpx", None, frames=660, rate=1)),
    Sample("WAV", "send-audio", media.sound),
    Sample("sound of an MKV", "send-audio", _video("matroska", "libx264", "ac3")),
    Sample(
        "gzip",
        "send-image",
        lambda: gzip.compress(media.picture()),
        "a.png",
        ("Content-Encoding: gzip",),
    ),
    Sample("aws-chunked", "send-image", media.picture, "a.png", ("Content-Encoding: aws-chunked",)),
    Sample("status 203", "send-image", media.picture, "a.png", (), 203),
    Sample("status 206, whole", "send-image", media.picture, "a.png", (), 206),
    Sample(
        "base64 without padding",
        "send-image",
        _as(media.picture() + b"x"),
        spelled=partial(_base64, padded=False),
    ),
    Sample(
        "base64, URL-safe", "send-document", _as(_URL_SAFE), spelled=partial(_base64, safe=True)
    ),
    Sample(
        "image/png;base64,",
        "send-image",
        media.picture,
        spelled=partial(_base64, before="image/png;base64,"),
    ),
    Sample(
        "data:image/png,base64,",
        "send-image",
        media.picture,
        spelled=partial(_base64, before="data:image/png,base64,"),
    ),
    Sample(
        "blanks before base64",
        "send-image",
        media.picture,
        spelled=partial(_base64, before=" \n\t"),
    ),
    Sample(
        "data: with a name",
        "send-document",
        _as(b"nome;valor\n"),
        spelled=partial(_base64, before="data:text/csv;name=vendas.csv;base64,"),
    ),
    Sample(
        "data: of CSV",
        "send-document",
        _as(b"nome;valor\n"),
        spelled=partial(_base64, before="data:text/csv;base64,"),
    ),
    Sample("Content-Disposition", "send-document", _as(b"a;b\n"), "get?id=1", (_DISPOSITION,)),
    Sample(
        "Content-Type of CSV",
        "send-document",
        _as(b"a;b\n"),
        "get?id=1",
        ("Content-Type: text/csv",),
    ),
    Sample(
        "name without extension",
        "send-document",
        _as(b"%PDF-1.7\n"),
        fields={"fileName": "Contrato"},
    ),
    Sample("old Excel", "send-document", lambda: ole("Workbook"), "contas.xls"),
    Sample("old Word without a name", "send-document", lambda: ole("WordDocument")),
    Sample("key store", "send-document", pkcs12, "chave.p12"),
    Sample("Word", "send-document", lambda: zip_of("word/document.xml"), "a.docx"),
    Sample("Android app", "send-document", lambda: zip_of("AndroidManifest.xml"), "app.apk"),
    Sample(
        "OpenDocument",
        "send-document",
        lambda: zip_of("x", mime_type="application/vnd.oasis.opendocument.text"),
        "a.odt",
    ),
    Sample("MPEG-TS as a document", "send-document", _video("mpegts", "libx264"), "film.ts"),
    Sample("card, picture 404", "send-link", _as(b"no"), status=404, fields=_CARD),
    Sample("card, broken picture", "send-link", _as(b"no picture"), fields=_CARD),
    Sample("card with HEIC", "send-link", Photo(gradient((800, 600))).heic, fields=_CARD),
)


async def result_of(client: Client, server: FileServer, number: int, sample: Sample) -> str:
    """Sends a file, waits for its outcome, and returns a row of the table."""
    content = sample.content()
    began = time.perf_counter()
    body = {"phone": _PHONE, sample.media_field: sample.text(content, server, number)}
    answer = await client.call("POST", f"/{sample.route}", json={**body, **sample.fields})
    outcome = f"{answer.status_code} {answer.text}"
    if answer.status_code == httpx.codes.OK:
        outcome = await _outcome(client, answer.json()["messageId"])
    seconds = f"{time.perf_counter() - began:.1f} s"
    return _ROW.format(sample.name, sample.route, f"{len(content):,}", seconds, outcome)


async def _outcome(client: Client, message_id: str) -> str:
    found = await until(
        partial(client.call, "GET", f"/messages/{message_id}"),
        lambda answer: str(answer.json().get("status", "")).lower() in _ENDED,
        seconds=_SECONDS,
    )
    if error := found.json().get("error"):
        return f"failed: {error}"
    row = next(row for row in await client.sent() if row["messageId"] == message_id)
    files = row["payload"].get("files")
    return f"sent: {_shown(files[0])}" if files else "sent without a picture"


def _shown(file: Mapping[str, Any]) -> str:
    parts = [file["mimeType"], f"{file['size']:,} bytes"]
    if "width" in file:
        parts.append(f"{file['width']}x{file['height']}")
    if "duration" in file:
        parts.append(f"{file['duration']:.1f} s")
    if "thumbnail" in file:
        parts.append("thumbnail")
    return ", ".join([*parts, file.get("fileName", "")])


async def main() -> None:
    with public_folder() as folder:
        postgres = EmbeddedPostgres(folder / "pg")
        await postgres.start()
        try:
            await migrate(postgres.url)
            await run(postgres.url)
        finally:
            await postgres.stop()


async def run(database_url: str) -> None:
    """Starts a gateway and sends all files, one after the other."""
    settings = {"GATEWAY_MAX_ATTEMPTS": "1", "GATEWAY_SANDBOX_RECEIPTS": "off"}
    with public_folder() as folder, running_gateway(folder, database_url, **settings) as gateway:
        await gateway.ready()
        (demo,) = await add_account(gateway, 1)
        async with media.file_server() as server, client_of(gateway, demo) as client:
            await connected([client])
            sys.stdout.write(_ROW.format("file", "route", "bytes", "time", "outcome") + "\n")
            for number, sample in enumerate(SAMPLES):
                sys.stdout.write(await result_of(client, server, number, sample) + "\n")
                sys.stdout.flush()
        gateway.kill()


if __name__ == "__main__":
    asyncio.run(main())
