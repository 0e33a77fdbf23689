"""Server-Sent Events: streams an account's callbacks to callers that have no receiver."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterator
from contextlib import aclosing

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.api.stream_callers import StreamCallers
from gateway.errors import Unavailable
from gateway.observability.logging import logger
from gateway.operations.services import Services
from gateway.webhooks.event_log import Gap, LoggedEvent, Position
from gateway.webhooks.stream import Page, StreamAccess

_HEARTBEAT_SECONDS = 15
_SEND_SECONDS = 30.0  # a slower reader is disconnected, and resumes with Last-Event-ID
_REVOKED_SECONDS = 0.5
_PIECE_BYTES = 65_536


class EventsEndpoint:
    """Serves GET /events; the account's token or an API key is in `Authorization: Bearer`."""

    def __init__(self, callers: StreamCallers, services: Callable[[], Services | None]) -> None:
        self._callers, self._services = callers, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        services = self._services()
        if services is None:
            raise Unavailable("The gateway is starting")
        account, access = await self._callers.find(request, services)
        last = request.headers.get("last-event-id")
        after = Position.parse(last) if last else None
        async with services.stream.subscribe(account.id, after, access) as pages:
            response = EventSourceResponse(
                _events(pages, access), ping=_HEARTBEAT_SECONDS, send_timeout=_SEND_SECONDS
            )
            try:
                await _respond(response(scope, receive, send), access)
            except* SendTimeoutError:
                logger.warning("stream_reader_too_slow", account_id=account.id)


async def _respond(response: Coroutine[None, None, None], access: StreamAccess) -> None:
    """Sends the response; cancels it a moment after the access was revoked.

    The stream then ends by itself, unless the caller does not read what was sent before.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as limit:
            access.on_revoked = lambda: limit.reschedule(loop.time() + _REVOKED_SECONDS)
            await response
    except TimeoutError:
        if not access.is_revoked:
            raise
    finally:
        access.on_revoked = lambda: None


async def _events(pages: AsyncGenerator[Page, None], access: StreamAccess) -> AsyncIterator[bytes]:
    """Yields many events at a time: a write for each would cost fifty followers a whole core."""
    async with aclosing(pages):  # unsubscribes when the client leaves
        async for page in pages:
            for piece in _pieces_of(page):
                if access.is_revoked:
                    return
                yield piece


def _pieces_of(page: Page) -> Iterator[bytes]:
    """Yields the events of a page as they are sent, in pieces that are not much too large."""
    piece = bytearray()
    for event in page:
        piece += _rendered(event).encode()
        if len(piece) >= _PIECE_BYTES:
            yield bytes(piece)
            piece.clear()
    if piece:
        yield bytes(piece)


def body_of(event: LoggedEvent | Gap) -> tuple[str, str]:
    """Returns the type of an event and its body as JSON."""
    if isinstance(event, Gap):
        kind = "EventsMissing"
        return kind, orjson.dumps({"type": kind, "reason": event.reason}).decode()
    return event.type, event.body


def _rendered(event: LoggedEvent | Gap) -> ServerSentEvent:
    kind, body = body_of(event)
    return ServerSentEvent(body, id=str(event.position), event=kind, sep="\n")
