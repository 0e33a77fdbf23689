"""The bytes of a file decide its type."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest

from gateway.media.known_types import extension_of
from gateway.media.sniffing import type_of
from tests.fixtures import media
from tests.fixtures.office import ole, pkcs12, zip_of
from tests.fixtures.videos import VideoForm, video_in

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
        (ole("WordDocument"), None, "application/msword"),
        (ole("Workbook"), "x.doc", "application/vnd.ms-excel"),
        (ole("PowerPoint Document"), None, "application/vnd.ms-powerpoint"),
        (ole(None), "x.xls", "application/vnd.ms-excel"),
        (ole(None), "x.msg", "application/vnd.ms-outlook"),
        (ole(None), "x.png", "application/x-ole-storage"),
        (zip_of("AndroidManifest.xml"), None, "application/vnd.android.package-archive"),
        (zip_of("META-INF/MANIFEST.MF"), "x.apk", "application/vnd.android.package-archive"),
        (zip_of("x"), "photo.jpg", "application/zip"),
        (
            zip_of("word/document.xml"),
            "x.docm",
            "application/vnd.ms-word.document.macroEnabled.12",
        ),
        (zip_of("word/document.xml"), "x.apk", _OOXML + "wordprocessingml.document"),
        (
            zip_of("content.xml", mime_type="application/vnd.oasis.opendocument.spreadsheet"),
            "x.zip",
            "application/vnd.oasis.opendocument.spreadsheet",
        ),
        (pkcs12(), "x.p12", "application/x-pkcs12"),
        (pkcs12(), "x.PFX", "application/x-pkcs12"),
        (pkcs12(), "x.jpg", "application/octet-stream"),
        (video_in(VideoForm("mpegts", "libx264")), "film.ts", "video/mp2t"),
        (video_in(VideoForm("mpegts", "libx264")), None, "video/mp2t"),
        (b"import x from 'y';\n", "program.ts", "text/plain"),
        (video_in(VideoForm("avi", "mpeg4", None)), "x.mp4", "video/x-msvideo"),
        (video_in(VideoForm("asf", "wmv2", None)), None, "video/x-ms-wmv"),
        (video_in(VideoForm("asf", "wmv2", None)), "x.wma", "audio/x-ms-wma"),
        (video_in(VideoForm("flv", "flv", None)), None, "video/x-flv"),
        (video_in(VideoForm("mpeg", "mpeg1video", None, rate=25)), "x.dat", "video/mpeg"),
        (b"BM is no bitmap\n", "x.txt", "text/plain"),
        (b"{\\rtf1 x}", "x.doc", "application/rtf"),
        (gzip.compress(b"x", mtime=0), "x.tar.gz", "application/gzip"),
        (b"MZ\x90" + bytes(90), "x.pdf", "application/vnd.microsoft.portable-executable"),
        (b"hello", "x.png", "text/plain"),
        (b"BEGIN:VCARD\nEND:VCARD\n", None, "text/vcard"),
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


@pytest.mark.parametrize(
    ("content", "declared", "mime_type"),
    [
        (b"a;b\n", "text/csv", "text/csv"),
        (b"a;b\n", "application/octet-stream", "text/plain"),
        (b"a;b\n", "image/png", "text/plain"),
        (media.picture(), "text/html", "image/png"),
        (zip_of("x"), "application/java-archive", "application/java-archive"),
        (ole(None), "application/msword", "application/msword"),
    ],
)
def test_declared_type_is_a_hint(
    tmp_path: Path, content: bytes, declared: str, mime_type: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert type_of(path, None, declared) == mime_type


@pytest.mark.parametrize("name", ["x.ts", "x.csv", "x.p12", "x.docx", "x.heic", "x", "x.zip"])
@pytest.mark.parametrize("declared", [None, "text/csv", "application/zip", "video/mp4", "nonsense"])
@pytest.mark.parametrize(
    ("content", "mime_type"),
    [
        (media.picture("PNG"), "image/png"),
        (media.video(), "video/mp4"),
        (b"%PDF-1.7\n", "application/pdf"),
        (ole("Workbook"), "application/vnd.ms-excel"),
    ],
)
def test_neither_name_nor_declared_type_changes_the_family(
    tmp_path: Path, content: bytes, mime_type: str, name: str, declared: str | None
) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)

    assert type_of(path, name, declared) == mime_type


def test_extension_of_returns_usual_suffix() -> None:
    assert [extension_of(t) for t in ("image/jpeg", "application/pdf", "x/y")] == [
        ".jpg",
        ".pdf",
        "",
    ]
