"""Finds the type of a file from its first bytes; the name decides between types that look alike.

It reads a bounded number of bytes and parses none of them: the gateway process calls it.
"""

import mimetypes
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import puremagic

_HEAD_BYTES = 4_096
_GENERIC = "application/octet-stream"
_OOXML = "application/vnd.openxmlformats-officedocument."
_IN_ZIP = {
    b"word/": _OOXML + "wordprocessingml.document",
    b"xl/": _OOXML + "spreadsheetml.sheet",
    b"ppt/": _OOXML + "presentationml.presentation",
}
_ZIP_MAGIC = b"PK\x03\x04"
ZIP_TYPE = "application/zip"
_ZIP_HEAD_BYTES = 65_536
_MAX_NAMES_IN_HEAD = 100
_NAME_LENGTH_AT, _NAME_AT = 26, 30
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
    """Returns the MIME type of a file; of an undecided ZIP, that of a ZIP.

    Blocks while it reads: call it in a thread.
    """
    return recognise(path, file_name).mime_type


@dataclass(frozen=True, slots=True)
class Recognised:
    """A type, and whether a look at the whole file could make it more exact."""

    mime_type: str
    undecided: bool = False


def recognise(path: Path, file_name: str | None = None) -> Recognised:
    """Returns the type by the first 64 KiB and the name.

    Blocks while it reads: call it in a thread.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if head.startswith(_ZIP_MAGIC):
            return _recognise_zip(head + file.read(_ZIP_HEAD_BYTES - len(head)), file_name)
    return Recognised(_type_of_head(head, file_name))


def _type_of_head(head: bytes, file_name: str | None) -> str:
    for fits, mime_type in _HEADS:
        if fits(head):
            return mime_type
    named = _named_type(file_name)
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


def document_in_zip(names: Iterable[bytes]) -> str | None:
    """Returns the type of the document that has these files; None if no name is known."""
    for name in names:
        for start, mime_type in _IN_ZIP.items():
            if name.startswith(start):
                return mime_type
    return None


def _recognise_zip(head: bytes, file_name: str | None) -> Recognised:
    if found := document_in_zip(_names_in(head)):
        return Recognised(found)
    named = _named_type(file_name)
    # The bytes say that it is a ZIP, and the name says which one.
    return Recognised(named) if named else Recognised(ZIP_TYPE, undecided=True)


def _names_in(head: bytes) -> Iterator[bytes]:
    """Yields the names of the files at the beginning of a ZIP."""
    at = 0
    for _ in range(_MAX_NAMES_IN_HEAD):
        if at < 0 or at + _NAME_AT > len(head):
            return
        length = int.from_bytes(head[at + _NAME_LENGTH_AT : at + _NAME_AT - 2], "little")
        yield head[at + _NAME_AT : at + _NAME_AT + length]
        at = head.find(_ZIP_MAGIC, at + _NAME_AT)


def _named_type(file_name: str | None) -> str | None:
    named, _encoding = mimetypes.guess_type(file_name or "")
    return named


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
