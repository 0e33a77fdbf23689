"""Static files: each address holds a hash of the content, so that a browser stores it for long."""

import gzip
import hashlib
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.errors import UnknownRoute

PREFIX: Final = "/panel/assets/"
_FOLDER = Path(__file__).parent / "assets"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_HASH_LENGTH = 12
_SYMBOL = re.compile(r'<symbol id="([a-z-]+)"')
_LONG = "public, max-age=31536000, immutable"


@cache
def contents() -> dict[str, bytes]:
    """Returns the files by name: those beside this module, and htmx."""
    found = {f.name: f.read_bytes() for f in _FOLDER.iterdir() if f.suffix in _TYPES}
    return {**found, "htmx.js": _htmx().read_bytes()}


@cache
def asset_url(name: str) -> str:
    """Returns the address of a file; raises KeyError if there is none."""
    return f"{PREFIX}{_hash_of(contents()[name])}/{name}"


@cache
def icon_names() -> frozenset[str]:
    """Returns the names of the symbols in the sprite."""
    return frozenset(_SYMBOL.findall(contents()["icons.svg"].decode()))


async def show_asset(request: Request) -> Response:
    """Answers GET /panel/assets/{hash}/{name}; a hash of another release gets today's file."""
    request.scope["route_template"] = "/panel/assets/{hash}/{name}"
    name = request.path_params["name"]
    content = contents().get(name)
    if content is None:
        raise UnknownRoute
    is_current = request.path_params["hash"] == _hash_of(content)
    headers = {"Cache-Control": _LONG if is_current else "no-cache", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        # Pages hold tokens of forms and stay uncompressed (BREACH); files hold none.
        content, headers["Content-Encoding"] = _compressed(name), "gzip"
    return Response(content, media_type=_TYPES[Path(name).suffix], headers=headers)


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress(contents()[name], mtime=0)


def _hash_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_HASH_LENGTH]


def _htmx() -> Path:
    """Returns the file of htmx in an installed Django plugin; imports none of its code."""
    found = find_spec("js_lib_htmx")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "static" / "htmx" / "htmx.min.js"
