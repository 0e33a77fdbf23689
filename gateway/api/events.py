"""Server-Sent Events: streams an account's callbacks to callers that have no receiver."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing

from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.api.authentication import Authenticator
from gateway.errors import Unavailable
from gateway.observability.logging import logger
from gateway.operations.services import Services
from gateway.webhooks.event_log import LoggedEvent, Position

_HEARTBEAT_SECONDS = 15
_SEND_SECONDS = 30.0  # a slower reader is disconnected, and resumes with Last-Event-ID


class EventsEndpoint:
    """Serves GET /events; the account's token is in `Authorization: Bearer`."""

    def __init__(
        self, authenticator: Authenticator, services: Callable[[], Services | None]
    ) -> None:
        self._authenticator, self._services = authenticator, services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        services = self._services()
        if services is None:
            raise Unavailable("The gateway is starting")
        account = await self._authenticator.account(request, services.accounts)
        last = request.headers.get("last-event-id")
        pages = await services.stream.subscribe(account.id, Position.parse(last) if last else None)
        response = EventSourceResponse(
            _events(pages), ping=_HEARTBEAT_SECONDS, send_timeout=_SEND_SECONDS
        )
        try:
            await response(scope, receive, send)
        except* SendTimeoutError:
            logger.warning("stream_reader_too_slow", account_id=account.id)


async def _events(
    pages: AsyncGenerator[list[LoggedEvent], None],
) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(pages):  # unsubscribes when the client leaves
        async for page in pages:
            for event in page:
                yield ServerSentEvent(
                    event.body, id=str(event.position), event=event.type, sep="\n"
                )
