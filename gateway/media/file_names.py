"""Reads the names of files, and makes them safe for links, downloads and disks."""

import re
import unicodedata
from pathlib import PurePath
from typing import Final
from urllib.parse import unquote

_MAX_BYTES: Final = 200  # disks allow 255, and browsers append a number
_MAX_SUFFIX_BYTES: Final = 20
# Control characters, marks that turn the direction of writing, and halves of characters.
_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_PARAMETER: Final = re.compile(
    r""";\s*(filename\*?)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^";\s][^;"]*))""", re.IGNORECASE
)
_EXTENDED: Final = re.compile(r"([^']+)'[^']*'(.+)", re.DOTALL)
_ESCAPED: Final = re.compile(r"\\([\"\\])")
_SEPARATORS: Final = frozenset('/\\:*?"<>|')


def safe_file_name(name: str | None) -> str | None:
    """Returns *name* as one harmless part of a path; None if nothing of it remains.

    A sender chooses the name. A separator or two dots would lead the path elsewhere. A mark that
    turns the direction of writing can make a program look like a picture.
    """
    if name is None:
        return None
    text = "".join(_safe(character) for character in name)
    text = " ".join(text.split()).strip(". ")
    if not text.strip("_. "):
        return None
    return _shortened(text)


def name_of_disposition(header: str | None) -> str | None:
    """Returns the file name of a Content-Disposition (RFC 6266), as servers really write it."""
    parameters = _PARAMETER.findall(header or "")
    found = {name.lower(): quoted or bare for name, quoted, bare in parameters}
    encoded, plain = found.get("filename*"), found.get("filename")
    name = _decoded_parameter(encoded) if encoded else None
    if name is None and plain:
        name = _ESCAPED.sub(r"\1", plain)
        name = unquote(name) if "%" in name and " " not in name else name
    return safe_file_name(name and name.replace("\\", "/").rpartition("/")[2])


def _decoded_parameter(value: str) -> str | None:
    """Returns the text of an extended parameter (RFC 8187), such as UTF-8''a%20b."""
    found = _EXTENDED.fullmatch(value)
    charset, text = found.groups() if found else ("utf-8", value)
    try:
        return unquote(text, encoding=charset, errors="strict")
    except (LookupError, UnicodeError):
        return None


def _safe(character: str) -> str:
    if character in _SEPARATORS:
        return "_"
    return "" if unicodedata.category(character) in _REFUSED else character


def _shortened(name: str) -> str:
    """Shortens a long name before its suffix, and never inside a character."""
    encoded = name.encode()
    if len(encoded) <= _MAX_BYTES:
        return name
    suffix = PurePath(name).suffix.encode()
    if len(suffix) > _MAX_SUFFIX_BYTES:
        suffix = b""
    stem = encoded[: _MAX_BYTES - len(suffix)].decode(errors="ignore")
    return stem.rstrip(". ") + suffix.decode()
