"""Finds the type of a file from its bytes; the name decides between types that look alike."""

import mimetypes
import zipfile
from collections.abc import Callable
from pathlib import Path

import puremagic

_HEAD_BYTES = 4_096
_GENERIC = "application/octet-stream"
_OOXML = "application/vnd.openxmlformats-officedocument."
_IN_ZIP = {
    "word/": _OOXML + "wordprocessingml.document",
    "xl/": _OOXML + "spreadsheetml.sheet",
    "ppt/": _OOXML + "presentationml.presentation",
}
_EXTENSIONS = {"image/jpeg": ".jpg", "audio/ogg": ".ogg", "text/plain": ".txt"}

# The types that phones and callers use most; puremagic is ambiguous about them.
_HEADS: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (lambda head: head.startswith(b"\xff\xd8\xff"), "image/jpeg"),
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), "image/png"),
    (lambda head: head[:6] in {b"GIF87a", b"GIF89a"}, "image/gif"),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", "image/webp"),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE", "audio/wav"),
    (lambda head: head[4:12] in {b"ftypavif", b"ftypavis"}, "image/avif"),
    (lambda head: head[4:12] in {b"ftypheic", b"ftypheix", b"ftypmif1"}, "image/heic"),
    (lambda head: head[4:12] in {b"ftypM4A ", b"ftypM4B "}, "audio/mp4"),
    (lambda head: head[4:10] == b"ftypqt", "video/quicktime"),
    (lambda head: head[4:11] == b"ftyp3gp", "video/3gpp"),
    (lambda head: head[4:8] == b"ftyp", "video/mp4"),
    (lambda head: head.startswith(b"\x1aE\xdf\xa3") and b"webm" in head[:64], "video/webm"),
    (lambda head: head.startswith(b"\x1aE\xdf\xa3"), "video/x-matroska"),
    (lambda head: head.startswith(b"OggS") and b"\x80theora" in head[:256], "video/ogg"),
    (lambda head: head.startswith(b"OggS"), "audio/ogg"),
    (lambda head: head.startswith(b"fLaC"), "audio/flac"),
    (lambda head: head.startswith(b"#!AMR"), "audio/amr"),
    (lambda head: head[:1] == b"\xff" and head[1:2] in {b"\xf1", b"\xf9"}, "audio/aac"),
    (lambda head: head[:3] == b"ID3", "audio/mpeg"),
    (lambda head: head[:1] == b"\xff" and head[1:2] in {b"\xfb", b"\xf3", b"\xf2"}, "audio/mpeg"),
    (lambda head: head.startswith(b"%PDF-"), "application/pdf"),
)


def type_of(path: Path, file_name: str | None = None) -> str:
    """Returns the MIME type of a file. Blocks while it reads: call it in a thread."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    for fits, mime_type in _HEADS:
        if fits(head):
            return mime_type
    named, _encoding = mimetypes.guess_type(file_name or "")
    if head.startswith(b"PK\x03\x04"):
        return _type_in_zip(path, named)
    found = _magic(head)
    if named in found:
        return named
    if found and found[0].startswith(("text/html", "image/", "audio/", "video/")):
        return found[0]
    if _is_text(head):
        return named if named and named.startswith(("text/", "application/")) else "text/plain"
    return found[0] if found else named or _GENERIC


def extension_of(mime_type: str) -> str:
    """Returns the usual suffix of a type, such as `.pdf`; empty if it has none."""
    return _EXTENSIONS.get(mime_type) or mimetypes.guess_extension(mime_type) or ""


def _type_in_zip(path: Path, named: str | None) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return "application/zip"
    for start, mime_type in _IN_ZIP.items():
        if any(name.startswith(start) for name in names):
            return mime_type
    return named or "application/zip"


def _magic(head: bytes) -> list[str]:
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return []
    return [match.mime_type for match in matches if match.mime_type]


def _is_text(head: bytes) -> bool:
    try:
        # The head may end inside a character of up to four bytes.
        text = head[:-4].decode() if len(head) == _HEAD_BYTES else head.decode()
    except UnicodeDecodeError:
        return False
    return "\x00" not in text
