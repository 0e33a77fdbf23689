"""Finds the type of a file from its first bytes; a name decides between types that look alike.

It reads a bounded number of bytes and parses none of them: the gateway process calls it.
"""

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import puremagic

from gateway.media.known_types import (
    OLE_TYPES,
    ZIP_TYPE,
    ZIP_TYPES,
    ZIP_VARIANTS,
    extension_of,
    named_type,
    shows_in_bytes,
)

_HEAD_BYTES = 4_096
GENERIC_TYPE = "application/octet-stream"
_OOXML = "application/vnd.openxmlformats-officedocument."
_IN_ZIP = {
    b"word/": _OOXML + "wordprocessingml.document",
    b"xl/": _OOXML + "spreadsheetml.sheet",
    b"ppt/": _OOXML + "presentationml.presentation",
    b"AndroidManifest.xml": "application/vnd.android.package-archive",
}
_ZIP_MAGIC = b"PK\x03\x04"
_ZIP_HEAD_BYTES = 65_536
_MAX_NAMES_IN_HEAD = 100
_NAME_LENGTH_AT, _NAME_AT = 26, 30

_HEIF_BRANDS = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1"}
)
_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_OLE_TYPE = "application/x-ole-storage"
_IN_OLE = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "__properties_version1.0": "application/vnd.ms-outlook",
}
_ASF_MAGIC = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"
_ASF_TYPES = ("video/x-ms-wmv", "audio/x-ms-wma", "video/x-ms-asf")
_MIME_TYPE_FILE = re.compile(
    rb"PK\x03\x04.{22}\x08\0..mimetype(application/[a-z0-9.+-]+)", re.DOTALL
)
_MISTAKEN = frozenset({"application/vnd.ms-pki.seccat"})  # of each key and certificate
_MARKED_TEXTS = frozenset({"text/html", "image/svg+xml", "application/postscript"})
_OLE_HEADER = struct.Struct("<30xH16xI")  # the power of two of a sector, the directory's sector
_OLE_POWERS = range(9, 13)
_TS_PACKETS = ((188, 0), (192, 4), (204, 0))
_TS_SYNC = 0x47


def _is_transport_stream(head: bytes) -> bool:
    """Returns whether the head holds packets of MPEG-TS, each of which begins alike."""
    return any(
        len(head) > 3 * size and all(head[at] == _TS_SYNC for at in range(start, len(head), size))
        for size, start in _TS_PACKETS
    )


# The types that phones and callers use most; puremagic is ambiguous about them.
_HEADS: tuple[tuple[Callable[[bytes], bool], str], ...] = (
    (lambda head: head.startswith(b"\xff\xd8\xff"), "image/jpeg"),
    (lambda head: head.startswith(b"\x89PNG\r\n\x1a\n"), "image/png"),
    (lambda head: head[:6] in {b"GIF87a", b"GIF89a"}, "image/gif"),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WEBP", "image/webp"),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"WAVE", "audio/wav"),
    (lambda head: head[4:12] in {b"ftypavif", b"ftypavis"}, "image/avif"),
    (lambda head: head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS, "image/heic"),
    (lambda head: head[4:12] in {b"ftypM4A ", b"ftypM4B "}, "audio/mp4"),
    (lambda head: head[4:10] == b"ftypqt", "video/quicktime"),
    (lambda head: head[4:11] in {b"ftyp3gp", b"ftyp3g2"}, "video/3gpp"),
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
    (
        lambda head: head[4:8] in {b"moov", b"mdat", b"wide"} and head[:2] == b"\0\0",
        "video/quicktime",
    ),
    (lambda head: head[:4] == b"RIFF" and head[8:12] == b"AVI ", "video/x-msvideo"),
    (lambda head: head.startswith(b"FLV\x01"), "video/x-flv"),
    (lambda head: head[:4] in {b"\0\0\x01\xba", b"\0\0\x01\xb3"}, "video/mpeg"),
    (_is_transport_stream, "video/mp2t"),
    (lambda head: b"%PDF-" in head[:1_024], "application/pdf"),  # as readers of PDF look for it
    (lambda head: head.startswith(b"{\\rtf"), "application/rtf"),
    (lambda head: head.startswith(b"\x1f\x8b"), "application/gzip"),
    (lambda head: head[:15].upper().startswith(b"BEGIN:VCARD"), "text/vcard"),
    (lambda head: head[:15].upper().startswith(b"BEGIN:VCALENDAR"), "text/calendar"),
)


def type_of(path: Path, file_name: str | None = None, declared_type: str | None = None) -> str:
    """Returns the MIME type of a file; of an undecided ZIP, that of a ZIP.

    Blocks while it reads: call it in a thread.
    """
    return recognise(path, file_name, declared_type).mime_type


@dataclass(frozen=True, slots=True)
class Recognised:
    """A type, and whether a look at the whole file could make it more exact."""

    mime_type: str
    undecided: bool = False


def recognise(
    path: Path, file_name: str | None = None, declared_type: str | None = None
) -> Recognised:
    """Returns the type by the first 64 KiB; the name, or else what was declared, is a hint.

    The bytes decide between families, such as pictures and archives; the hint decides inside one.
    Blocks while it reads: call it in a thread.
    """
    hint = named_type(file_name) or _known(declared_type)
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if head.startswith(_ZIP_MAGIC):
            return _recognise_zip(head + file.read(_ZIP_HEAD_BYTES - len(head)), hint)
        if head.startswith(_OLE_MAGIC):
            return Recognised(_type_in_ole(file, head, hint))
        if head.startswith(_ASF_MAGIC):
            return Recognised(hint if hint and hint in _ASF_TYPES else _ASF_TYPES[0])
    return Recognised(_type_of_head(head, hint))


def _type_of_head(head: bytes, hint: str | None) -> str:
    for fits, mime_type in _HEADS:
        if fits(head):
            return mime_type
    found = _magic(head)
    return _type_of_text(found, hint) if _is_text(head) else _type_of_binary(found, hint)


def _type_of_text(found: Sequence[str], hint: str | None) -> str:
    if hint in found:
        return str(hint)
    if found and found[0] in _MARKED_TEXTS:
        return found[0]
    if hint and hint.startswith(("text/", "application/")) and not shows_in_bytes(hint):
        return hint
    return "text/plain"


def _type_of_binary(found: Sequence[str], hint: str | None) -> str:
    if hint in found:
        return str(hint)
    if found and found[0].startswith(("image/", "audio/", "video/")):
        return found[0]
    if hint and not shows_in_bytes(hint) and not hint.startswith("text/"):
        return hint
    return found[0] if found else GENERIC_TYPE


def _type_in_ole(file: IO[bytes], head: bytes, hint: str | None) -> str:
    """Returns the type of an old Word, Excel or PowerPoint file, by the names of its streams."""
    power, sector = _OLE_HEADER.unpack_from(head.ljust(_OLE_HEADER.size, b"\0"))
    names = b""
    if power in _OLE_POWERS:
        file.seek((sector + 1) << power)
        names = file.read(_HEAD_BYTES)
    for name, mime_type in _IN_OLE.items():
        if name.encode("utf-16-le") + b"\0\0" in names:
            return mime_type
    return hint if hint and hint in OLE_TYPES else _OLE_TYPE


def document_in_zip(names: Iterable[bytes]) -> str | None:
    """Returns the type of the document that has these files; None if no name is known."""
    for name in names:
        for start, mime_type in _IN_ZIP.items():
            if name.startswith(start):
                return mime_type
    return None


def _recognise_zip(head: bytes, hint: str | None) -> Recognised:
    if found := _said_in_zip(head) or document_in_zip(_names_in(head)):
        return Recognised(hint if hint and hint in ZIP_VARIANTS.get(found, ()) else found)
    # The bytes say that it is a ZIP, and the hint says which one.
    if hint and hint in ZIP_TYPES:
        return Recognised(hint)
    return Recognised(ZIP_TYPE, undecided=True)


def _said_in_zip(head: bytes) -> str | None:
    """Returns the type that OpenDocument and EPUB say in their first file."""
    found = _MIME_TYPE_FILE.match(head)
    return found[1].decode() if found else None


def _names_in(head: bytes) -> Iterator[bytes]:
    """Yields the names of the files at the beginning of a ZIP."""
    at = 0
    for _ in range(_MAX_NAMES_IN_HEAD):
        if at < 0 or at + _NAME_AT > len(head):
            return
        length = int.from_bytes(head[at + _NAME_LENGTH_AT : at + _NAME_AT - 2], "little")
        yield head[at + _NAME_AT : at + _NAME_AT + length]
        at = head.find(_ZIP_MAGIC, at + _NAME_AT)


def _known(declared_type: str | None) -> str | None:
    """Returns a declared type that says something."""
    return (
        declared_type if declared_type and extension_of(declared_type) not in {"", ".bin"} else None
    )


def _magic(head: bytes) -> list[str]:
    try:
        matches = puremagic.magic_string(head)
    except (puremagic.PureError, ValueError):
        return []
    types = [match.mime_type for match in matches if match.mime_type]
    return [mime_type for mime_type in types if mime_type not in _MISTAKEN]


def _is_text(head: bytes) -> bool:
    try:
        # The head may end inside a character of up to four bytes.
        text = head[:-4].decode() if len(head) == _HEAD_BYTES else head.decode()
    except UnicodeDecodeError:
        return False
    return "\x00" not in text
