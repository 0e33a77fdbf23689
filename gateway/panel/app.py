"""Builds the routes of the panel, which the runtime hands to the public application."""

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.routing import BaseRoute, Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.administration.phone_links import LINK_PATH
from gateway.errors import UnknownRoute
from gateway.panel.assets import PREFIX as ASSETS
from gateway.panel.assets import show_asset
from gateway.panel.discovery import find_pages
from gateway.panel.endpoint import PageEndpoint, new_visit
from gateway.panel.error_pages import error_page
from gateway.panel.languages import N_
from gateway.panel.navigation import NavEntry, Section
from gateway.panel.page import PREFIX, Page, PageRoute, entries_of
from gateway.panel.pages.set_password import SET_PASSWORD_PATH
from gateway.panel.services import PanelContext

HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; media-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    # Not no-referrer: browsers then send `Origin: null` with a form of the page itself.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
# The address of a link is worth as much as its token.
_FOR_LINKS: Final = {"Referrer-Policy": "no-referrer"}
_LINKS: Final = (LINK_PATH, SET_PASSWORD_PATH + "/")
_DOCS: Final = NavEntry(
    title=N_("API reference"), path="/docs", icon="book", section=Section.INTEGRATION, order=90
)


def build_panel(context: PanelContext) -> Sequence[BaseRoute]:
    """Returns the routes of `/`, `/panel` and everything below."""
    pages = find_pages()
    entries = (*entries_of(pages), *([_DOCS] if context.has_docs else ()))
    router = Router(
        [
            Route(ASSETS + "{hash}/{name}", show_asset, methods=["GET"]),
            *_page_routes(context, pages, entries),
        ],
        redirect_slashes=False,
        default=_NotFound(context, entries),
    )
    panel = _WithHeaders(router)
    return [
        Route("/", _FrontDoor()),
        Route(PREFIX, panel),
        Route(PREFIX + "/{path:path}", panel),
    ]


def _page_routes(
    context: PanelContext, pages: Sequence[Page], entries: Sequence[NavEntry]
) -> Sequence[Route]:
    by_path: dict[str, dict[str, PageRoute]] = {}
    page_paths: dict[str, str] = {}
    shown = {route.path for page in pages for route in page.routes if route.method == "GET"}
    for page in pages:
        for route in page.routes:
            methods = by_path.setdefault(route.path, {})
            if route.method in methods:
                raise ValueError(f"Two handlers answer {route.method} {route.path}")
            methods[route.method] = route
            page_paths[route.path] = _nearest(page.full_path, shown)
    # Fixed paths first: a pattern would match them, too.
    return [
        Route(
            path,
            PageEndpoint(
                context,
                by_path[path],
                entries,
                page_path=page_paths[path],
                above=_nearest(path, shown),
            ),
        )
        for path in sorted(by_path, key=lambda each: ("{" in each, each))
    ]


def _nearest(path: str, shown: set[str]) -> str:
    """Returns the path, or the nearest one above it that shows a page: people are led there."""
    while path not in shown:
        path = path.rpartition("/")[0]
        if path in {"", PREFIX}:
            return PREFIX + "/"
    return path


class _FrontDoor:
    """Leads browsers from / to the panel; programs get the 404 that they always got."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        is_browser = "text/html" in request.headers.get("accept", "")
        if request.method not in {"GET", "HEAD"} or not is_browser:
            raise UnknownRoute
        scope["route_template"] = "/"
        await RedirectResponse(PREFIX + "/", 303)(scope, receive, send)


class _NotFound:
    """Shows the page of an unknown address."""

    def __init__(self, context: PanelContext, entries: Sequence[NavEntry]) -> None:
        self._context, self._entries = context, entries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        scope["route_template"] = PREFIX
        if request.url.path == PREFIX:
            await RedirectResponse(PREFIX + "/", 303)(scope, receive, send)
            return
        visit = new_visit(request, self._context, self._entries, PREFIX + "/")
        await error_page(visit, UnknownRoute(), back=PREFIX + "/")(scope, receive, send)


class _WithHeaders:
    """Adds the headers that protect pages; nothing but static files is stored by browsers."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message["headers"]
                names = {name.lower() for name, _value in headers}
                own = HEADERS | (_FOR_LINKS if scope["path"].startswith(_LINKS) else {})
                headers.extend((n.lower().encode(), v.encode()) for n, v in own.items())
                if b"cache-control" not in names:
                    headers.append((b"cache-control", b"no-store"))
            await send(message)

        await self._app(scope, receive, send_with_headers)
