"""Makes the names of received files safe for links, downloads and disks."""

import unicodedata
from pathlib import PurePath
from typing import Final

_MAX_BYTES: Final = 200  # disks allow 255, and browsers append a number
_MAX_SUFFIX_BYTES: Final = 20
# Control characters, marks that turn the direction of writing, and halves of characters.
_REFUSED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
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
