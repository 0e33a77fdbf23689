"""Serves stored files by signed link, always as a download and never as a page of this origin."""

import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from gateway.bounds import whole_number
from gateway.errors import NotFound, Unavailable
from gateway.media.links import LinkSigner
from gateway.media.storing import MediaStore

_RANGE = re.compile(r"bytes=([0-9]*)-([0-9]*)")
_GONE = "This file is no longer stored: it was deleted after its retention"
_PARTIAL, _UNSATISFIABLE = 206, 416
_SAFE: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "Cache-Control": "private, max-age=86400, immutable",
    "Accept-Ranges": "bytes",
}


@dataclass(frozen=True, slots=True)
class MediaRouteContext:
    """What the media route needs from the rest of the gateway, once it is ready."""

    store: MediaStore
    links: LinkSigner


def media_route(context: Callable[[], MediaRouteContext | None]) -> Route:
    async def serve(request: Request) -> Response:
        request.scope["route_template"] = "/media"
        known = context()
        if known is None:
            raise Unavailable("The gateway is starting")
        return await _serve(request, known)

    return Route(
        # Links of earlier releases may hold a name with an escaped slash.
        "/media/{instance_id}/{file_id}/{file_name:path}",
        serve,
        methods=["GET", "HEAD"],
        name="media",
    )


async def _serve(request: Request, context: MediaRouteContext) -> Response:
    instance_id, file_id, name = (
        request.path_params[part] for part in ("instance_id", "file_id", "file_name")
    )
    context.links.check(
        instance_id,
        file_id,
        name,
        expires=request.query_params.get("expires", ""),
        signature=request.query_params.get("signature", ""),
    )
    found = await context.store.find(instance_id, file_id)
    if found is None:
        raise NotFound(_GONE)
    size = found.size_bytes
    headers = {
        **_SAFE,
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
        "ETag": f'"{file_id}"',
    }
    part = _requested_part(request, size, f'"{file_id}"')
    if part is None:
        return Response(
            status_code=_UNSATISFIABLE, headers={**headers, "Content-Range": f"bytes */{size}"}
        )
    start, end = part
    status = 200
    if (start, end) != (0, size):
        status = _PARTIAL
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    pieces = _no_content()
    if request.method != "HEAD":
        try:  # before the status is sent: the node that keeps the file may be out of reach
            pieces = await context.store.open(file_id, (start, end))
        except FileNotFoundError:
            raise NotFound(_GONE) from None
    return StreamingResponse(pieces, status, headers, media_type=found.mime_type)


def _requested_part(request: Request, size: int, tag: str) -> tuple[int, int] | None:
    """Returns start and end of the requested bytes; None if the range is not in the file."""
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or request.headers.get("if-range", tag) != tag or not any(found.groups()):
        return 0, size
    first, last = (_up_to(size, digits) for digits in found.groups())
    if first is None:
        return (size - last, size) if last else None
    end = size if last is None else min(size, last + 1)
    return (first, end) if first < end else None


def _up_to(size: int, digits: str) -> int | None:
    """Returns a number of a range, at most *size*; None where the range names none."""
    if not digits:
        return None
    number = whole_number(digits)
    return size if number is None else min(size, number)


async def _no_content() -> AsyncIterator[bytes]:
    yield b""
