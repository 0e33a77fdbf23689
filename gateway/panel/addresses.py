"""Parts of addresses that anybody may write: ids, page numbers, where a page leads back."""

from typing import Final
from urllib.parse import quote, urlsplit

SIGN_IN_PATH: Final = "/panel/sign-in"


def sign_in_path(wanted: str) -> str:
    """Returns the address of the sign-in page that leads to *wanted* afterwards."""
    return SIGN_IN_PATH + (f"?next={quote(wanted)}" if own_path(wanted) not in _START else "")


def path_of(url: str) -> str:
    """Returns the path of a URL, with its query."""
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


def page_number_of(text: str) -> int:
    """Returns the page of a list, from 1; 1 for what is no such number."""
    is_number = text.isascii() and text.isdigit() and len(text) < len("1000000")
    return max(1, int(text)) if is_number else 1


def is_id(text: str) -> bool:
    """Returns whether a text may be an id of an account or instance."""
    return 0 < len(text) <= len("0" * 64) and text.isascii() and text.isalnum()


def own_path(path: str) -> str:
    """Returns a path if it leads to a page of the panel, else an empty text."""
    is_own = path == "/panel" or path.startswith(("/panel/", "/panel?"))
    is_plain = path.isprintable() and "\\" not in path and "//" not in path
    return path if is_own and is_plain else ""


_START: Final = frozenset({"", "/panel/"})
