"""The page at /docs: Swagger UI over our own OpenAPI document, without any other server."""

import asyncio
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import orjson
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from gateway.contract.catalogue import catalogue
from gateway.documents.openapi import render_openapi
from gateway.errors import UnknownRoute

_PAGE = Path(__file__).parent / "docs_page"
_OURS = frozenset({"favicon.svg", "page.css", "page.js"})
_THEIRS = {
    "swagger-ui-bundle.js": "javascripts/swagger-ui-bundle.js",
    "swagger-ui.css": "stylesheets/swagger-ui.css",
}
_SAFE = {
    # Swagger UI sets styles in markup, and draws with data: pictures.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def docs_routes() -> Sequence[BaseRoute]:
    """`/docs`, its files, and `/openapi.json`."""
    return [
        Route("/docs", _show_page),
        Route("/docs/{file}", _show_file),
        Route("/openapi.json", _show_document),
    ]


async def _show_page(_request: Request) -> Response:
    return FileResponse(_PAGE / "index.html", headers={**_SAFE, "Cache-Control": "no-store"})


async def _show_file(request: Request) -> Response:
    name = request.path_params["file"]
    if name in _OURS:
        return FileResponse(_PAGE / name, headers=_SAFE)
    if name in _THEIRS:
        return FileResponse(_swagger_ui() / _THEIRS[name], headers=_SAFE)
    raise UnknownRoute


async def _show_document(_request: Request) -> Response:
    content = await asyncio.to_thread(_document)
    return Response(content, media_type="application/json", headers=_SAFE)


@cache
def _document() -> bytes:
    """The document, which speaks of the very server that shows it."""
    return orjson.dumps({**render_openapi(catalogue()), "servers": [{"url": "/"}]})


@cache
def _swagger_ui() -> Path:
    """The folder of Swagger UI's files, in a package for MkDocs whose code is not imported."""
    found = find_spec("mkdocs_swagger_ui_tag")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "swagger-ui"
