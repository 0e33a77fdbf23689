"""Server-Sent Events: everything an account is told, to whoever cannot be called."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.api.authentication import Authenticator
from gateway.api.endpoints import Services
from gateway.errors import Unavailable
from gateway.observability.logging import logger
from gateway.webhooks.stream import Cursor, StreamedEvent

_HEARTBEAT_SECONDS = 15
_SEND_SECONDS = 30.0  # a reader that takes nothing for so long comes back with Last-Event-ID


class EventsEndpoint:
    """GET /events with the account's token in `Authorization: Bearer`."""

    def __init__(
        self, authenticator: Authenticator, services: Callable[[], Services | None]
    ) -> None:
        self._reception, self._services = authenticator, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        services = self._services()
        if services is None:
            raise Unavailable("The gateway is starting")
        account = await self._reception.account(request, services.accounts)
        last = request.headers.get("last-event-id")
        pages = await services.stream.follow(account.id, Cursor.read(last) if last else None)
        response = EventSourceResponse(
            _events(pages), ping=_HEARTBEAT_SECONDS, send_timeout=_SEND_SECONDS
        )
        try:
            await response(scope, receive, send)
        except* SendTimeoutError:
            logger.warning("stream_reader_too_slow", account_id=account.id)


async def _events(
    pages: AsyncGenerator[list[StreamedEvent], None],
) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(pages):  # else a follower would stay for as long as its garbage does
        async for page in pages:
            for event in page:
                yield ServerSentEvent(event.body, id=str(event.cursor), event=event.type, sep="\n")
