"""A WebSocket: streams an account's callbacks to fronts that prefer it to Server-Sent Events."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from functools import partial
from urllib.parse import urlsplit

import orjson
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from gateway.api.error_replies import reply_to, reply_to_unexpected
from gateway.api.events import body_of
from gateway.api.stream_callers import StreamCallers
from gateway.errors import Forbidden, GatewayError, Unavailable
from gateway.instances.accounts import Account
from gateway.observability.logging import logger
from gateway.operations.services import Services
from gateway.webhooks.event_log import Gap, LoggedEvent, Position
from gateway.webhooks.stream import Page, StreamAccess

_SEND_SECONDS = 30.0  # a slower reader is disconnected, and resumes after its last event
_REVOKED_SECONDS = 0.5
_RESTART, _POLICY, _TRY_AGAIN = 1012, 1008, 1013


class EventsSocket:
    """Serves /events/ws; a ticket is in the address, or a token in `Authorization: Bearer`."""

    def __init__(
        self,
        callers: StreamCallers,
        services: Callable[[], Services | None],
        origins: Sequence[str],
    ) -> None:
        """Prepares it; *origins* are those of pages on other hosts that may connect."""
        self._callers, self._services = callers, services
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        websocket = WebSocket(scope, receive, send)
        async with AsyncExitStack() as subscription:
            try:
                account, access, pages = await self._subscribe(websocket, subscription)
            except GatewayError as error:
                await websocket.send_denial_response(reply_to(error))
                return
            except Exception as error:  # noqa: BLE001 - no other part would report it
                await websocket.send_denial_response(reply_to_unexpected(scope, error))
                return
            await websocket.accept()
            await _follow(websocket, pages, access, account)

    async def _subscribe(
        self, websocket: WebSocket, subscription: AsyncExitStack
    ) -> tuple[Account, StreamAccess, AsyncGenerator[Page, None]]:
        services = self._services()
        if services is None:
            raise Unavailable("The gateway is starting")
        self._check_origin(websocket)
        ticket = websocket.query_params.get("ticket")
        account, access = (
            await self._callers.find(websocket, services)
            if ticket is None
            else await self._callers.redeem(websocket, services, ticket)
        )
        last, position = websocket.headers.get("last-event-id"), None
        if after := websocket.query_params.get("after"):
            position = Position.parse(after, field="after")
        elif last:
            position = Position.parse(last)
        following = services.stream.subscribe(account.id, position, access)
        return account, access, await subscription.enter_async_context(following)

    def _check_origin(self, websocket: WebSocket) -> None:
        """Refuses pages of other hosts: a browser opens a WebSocket to any host.

        Raises:
            Forbidden: the origin is not this host and not in the settings.
        """
        origin = websocket.headers.get("origin")
        if origin is None or origin in self._origins:
            return
        host = _host_of(origin)
        if not host or host != websocket.headers.get("host"):
            raise Forbidden("This origin may not connect: the operator sets GATEWAY_CORS_ORIGINS")


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc
    except ValueError:  # brackets that do not close
        return ""


async def _follow(
    websocket: WebSocket,
    pages: AsyncGenerator[Page, None],
    access: StreamAccess,
    account: Account,
) -> None:
    """Sends events until the caller leaves, is too slow, loses its access, or the service stops."""
    async with asyncio.TaskGroup() as tasks:
        leaving = tasks.create_task(_until_gone(websocket), name="websocket reader")
        sending = tasks.create_task(_send(websocket, pages, access), name="websocket writer")
        access.on_revoked = partial(_cancel_soon, sending)
        await asyncio.wait({leaving, sending}, return_when=asyncio.FIRST_COMPLETED)
        access.on_revoked = lambda: None
        is_gone = leaving.done()
        leaving.cancel()
        sending.cancel()
    if is_gone:
        return
    if access.is_revoked:
        code, reason = _POLICY, "the token is no longer valid"
    elif not sending.cancelled() and sending.result():
        code, reason = _RESTART, "the gateway stops: connect again"
    else:
        logger.warning("stream_reader_too_slow", account_id=account.id)
        code, reason = _TRY_AGAIN, "too slow: connect again after your last event"
    await websocket.close(code, reason)


def _cancel_soon(task: "asyncio.Task[bool]") -> None:
    """Ends a writer whose caller does not read what was sent before."""
    asyncio.get_running_loop().call_later(_REVOKED_SECONDS, task.cancel)


async def _until_gone(websocket: WebSocket) -> None:
    """Reads and ignores what the caller sends."""
    while (await websocket.receive())["type"] != "websocket.disconnect":
        pass


async def _send(
    websocket: WebSocket, pages: AsyncGenerator[Page, None], access: StreamAccess
) -> bool:
    """Sends every event; returns False if the caller does not read."""
    async with aclosing(pages):  # unsubscribes when the client leaves
        async for page in pages:
            for event in page:
                if access.is_revoked:
                    return True
                try:
                    async with asyncio.timeout(_SEND_SECONDS):
                        await websocket.send_text(_rendered(event))
                except TimeoutError:
                    return False
                except (WebSocketDisconnect, RuntimeError):  # the caller left meanwhile
                    return True
    return True


def _rendered(event: LoggedEvent | Gap) -> str:
    kind, body = body_of(event)
    head = orjson.dumps({"id": str(event.position), "event": kind}).decode()
    return f'{head[:-1]},"data":{body}}}'
