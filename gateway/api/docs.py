"""Serves /docs: Swagger UI with this gateway's OpenAPI document; loads nothing from elsewhere."""

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
_OWN_FILES = frozenset({"favicon.svg", "page.css", "page.js"})
_SWAGGER_FILES = {
    "swagger-ui-bundle.js": "javascripts/swagger-ui-bundle.js",
    "swagger-ui.css": "stylesheets/swagger-ui.css",
}
_SAFE = {
    # Swagger UI uses inline styles and data: images.
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def docs_routes() -> Sequence[BaseRoute]:
    """Returns the routes of `/docs`, its files, and `/openapi.json`."""
    return [
        Route("/docs", _show_page),
        Route("/docs/{file}", _show_file),
        Route("/openapi.json", _show_document),
    ]


async def _show_page(_request: Request) -> Response:
    return FileResponse(_PAGE / "index.html", headers={**_SAFE, "Cache-Control": "no-store"})


async def _show_file(request: Request) -> Response:
    name = request.path_params["file"]
    if name in _OWN_FILES:
        return FileResponse(_PAGE / name, headers=_SAFE)
    if name in _SWAGGER_FILES:
        return FileResponse(_swagger_ui() / _SWAGGER_FILES[name], headers=_SAFE)
    raise UnknownRoute


async def _show_document(_request: Request) -> Response:
    content = await asyncio.to_thread(_document)
    return Response(content, media_type="application/json", headers=_SAFE)


@cache
def _document() -> bytes:
    """Renders the OpenAPI document, with the server that serves it."""
    return orjson.dumps({**render_openapi(catalogue()), "servers": [{"url": "/"}]})


@cache
def _swagger_ui() -> Path:
    """Returns the folder of Swagger UI in an installed MkDocs plugin; imports none of its code."""
    found = find_spec("mkdocs_swagger_ui_tag")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "swagger-ui"
