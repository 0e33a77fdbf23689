"""The bytes of a file decide its type."""

import io
import zipfile
from pathlib import Path

import pytest

from gateway.media.known_types import extension_of
from gateway.media.sniffing import type_of
from tests.fixtures import media

_OOXML = "application/vnd.openxmlformats-officedocument."


def zipped(name: str) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        archive.writestr("[Content_Types].xml", "x")
        archive.writestr(name, "x")
    return written.getvalue()


@pytest.mark.parametrize(
    ("content", "name", "mime_type"),
    [
        (media.picture("PNG"), "lie.pdf", "image/png"),
        (media.picture("JPEG"), None, "image/jpeg"),
        (media.picture("WEBP"), None, "image/webp"),
        (media.picture("AVIF"), None, "image/avif"),
        (media.picture("BMP"), None, "image/x-ms-bmp"),
        (media.moving_picture(), None, "image/gif"),
        (media.video(), "x.png", "video/mp4"),
        (media.sound(0.1), None, "audio/wav"),
        (b"ID3\x03" + bytes(50), None, "audio/mpeg"),
        (b"%PDF-1.7\n", "x.html", "application/pdf"),
        (zipped("word/document.xml"), None, _OOXML + "wordprocessingml.document"),
        (zipped("xl/workbook.xml"), "x.docx", _OOXML + "spreadsheetml.sheet"),
        (zipped("readme.txt"), None, "application/zip"),
        (b"PK\x03\x04 broken", None, "application/zip"),
        (b"<!DOCTYPE html><html>", "x.png", "text/html"),
        (b"a;b\n1;2\n", "x.csv", "text/csv"),
        (b"hello", None, "text/plain"),
        (b'{"a": 1}', "x.json", "application/json"),
        (bytes(range(7)) * 9, None, "application/octet-stream"),
    ],
)
def test_type_of_follows_bytes_before_name(
    tmp_path: Path, content: bytes, name: str | None, mime_type: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert type_of(path, name) == mime_type


def test_extension_of_returns_usual_suffix() -> None:
    assert [extension_of(t) for t in ("image/jpeg", "application/pdf", "x/y")] == [
        ".jpg",
        ".pdf",
        "",
    ]
