"""Cross-origin requests of browsers, and paths with a slash too many."""

import re
from collections.abc import Callable, Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile("//+")
_METHODS = ("GET", "POST", "PUT", "DELETE")
_SHOWN_HEADERS = ("Retry-After", "X-Request-Id", "Preference-Applied")


class CollapsedSlashes:
    """Reads `//send-text ` as `/send-text`: a base URL that ends in a slash is a usual slip.

    So is an address that was copied with the blank or line break after it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            path = scope["path"].rstrip()
            if "//" in path:
                path = _SLASHES.sub("/", path)
            if path != scope["path"]:
                scope = {**scope, "path": path}
        await self._app(scope, receive, send)


class CrossOrigin:
    """Lets pages of the given origins call the API; never with cookies.

    Args:
        app: the application.
        origins: exact ones, such as https://shop.example.com.
        is_api: says whether a path is one that pages may call.
    """

    def __init__(
        self, app: ASGIApp, *, origins: Sequence[str], is_api: Callable[[str], bool]
    ) -> None:
        self._app, self._is_api = app, is_api
        self._allowed = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=["*"],
            expose_headers=_SHOWN_HEADERS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        allowed = scope["type"] == "http" and self._is_api(scope["path"])
        await (self._allowed if allowed else self._app)(scope, receive, send)
