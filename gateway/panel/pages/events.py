"""Live events: what happens in the account now, as the event stream gives it."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import SendTimeoutError
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.contract.callbacks.base import Callback
from gateway.contract.zapi.partner import InstancePage, ListInstances
from gateway.errors import DatabaseUnavailable, TooManyRequests, UnknownInstance
from gateway.instances.accounts import Account
from gateway.observability.logging import logger
from gateway.panel.choices import NoAccount
from gateway.panel.languages import N_
from gateway.panel.navigation import Section
from gateway.panel.page import Page
from gateway.panel.services import PanelServices
from gateway.panel.visit import Visit
from gateway.users.sessions import SESSION_COOKIE, UserSession
from gateway.webhooks.event_log import Gap, LoggedEvent, Position
from gateway.webhooks.stream import Page as EventPage
from gateway.webhooks.stream import StreamAccess

page = Page(
    path="/events",
    title=N_("Live events"),
    icon="pulse",
    section=Section.INTEGRATION,
    order=30,
)
_OFFERED_INSTANCES: Final = 100
_HEARTBEAT_SECONDS: Final = 15
_SEND_SECONDS: Final = 30.0  # a slower reader is disconnected, and resumes where it was
_TYPES: Final = tuple(
    sorted(kind.__name__ for kind in Callback.__subclasses__() if "type" in kind.model_fields)
)
_GAP: Final = "EventsMissing"


@page.get()
async def show(visit: Visit) -> Response:
    try:
        account = await _account(visit)
    except NoAccount:
        return await visit.render("events.html", types=(), instances=(), total=0)
    listed: InstancePage = await visit.execute(ListInstances(page_size=_OFFERED_INSTANCES), account)
    instances = [(each.id, each.name) for each in listed.content]
    named = visit.query("instance")
    if named and named not in dict(instances):
        found = await visit.instance_named(named)
        instances.append((found.id, found.name))
    return await visit.render(
        "events.html", types=_TYPES, instances=instances, total=listed.total, chosen=named
    )


@page.get("/stream")
async def follow(visit: Visit) -> Response:
    """Answers the events of the account; `instance` and `type` leave out others.

    A browser that comes back names its last position in Last-Event-ID, or in `after`.
    """
    account = await _account(visit)
    instance_id, kind = visit.query("instance"), visit.query("type")
    last = visit.request.headers.get("last-event-id") or visit.query("after")
    return _Follow(
        visit.services,
        visit.user,
        account,
        after=Position.parse(last) if last else None,
        access=StreamAccess(partial(_may_follow, visit.services, _token(visit), account.id)),
        wanted=_Filter(instance_id, kind),
    )


async def _account(visit: Visit) -> Account:
    """Returns the account of the instance that the address names, else the one that is shown."""
    if not (named := visit.query("instance")):
        return await visit.account()
    instance = await visit.instance_named(named)
    found = await visit.services.gateway.accounts.find(instance.account_id)
    if found is None:  # deleted meanwhile
        raise UnknownInstance
    return found


@dataclass(frozen=True, slots=True)
class _Filter:
    """What a page shows; an empty text leaves out nothing."""

    instance_id: str
    type: str

    def fits(self, event: LoggedEvent | Gap) -> bool:
        if isinstance(event, Gap):
            return True
        return self.instance_id in {"", event.instance_id} and self.type in {"", event.type}


class _Follow(Response):
    """Streams events until the browser leaves or the session of the user ends."""

    def __init__(
        self,
        services: PanelServices,
        user: UserSession,
        account: Account,
        *,
        after: Position | None,
        access: StreamAccess,
        wanted: _Filter,
    ) -> None:
        super().__init__()
        self._services, self._account, self._after = services, account, after
        self._access, self._filter = access, wanted
        # It counts as an open page of the user, and ends with his session.
        self._watch = services.live.open(
            user.user_id, user.account_id, frozenset(), access.is_allowed
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        stream = self._services.gateway.stream
        try:
            async with stream.subscribe(self._account.id, self._after, self._access) as pages:
                response = EventSourceResponse(
                    self._events(pages),
                    ping=_HEARTBEAT_SECONDS,
                    send_timeout=_SEND_SECONDS,
                    sep="\n",
                )
                async with asyncio.TaskGroup() as group:
                    watching = group.create_task(self._until_ended())
                    await response(scope, receive, send)
                    watching.cancel()
        except* SendTimeoutError:
            logger.warning("stream_reader_too_slow", account_id=self._account.id)
        except* (TooManyRequests, DatabaseUnavailable) as group:
            is_full = group.subgroup(TooManyRequests) is not None
            await Response(status_code=429 if is_full else 503)(scope, receive, send)

    async def _until_ended(self) -> None:
        async for _ended in self._watch:
            self._access.revoke()

    async def _events(
        self, pages: AsyncGenerator[EventPage, None]
    ) -> AsyncIterator[ServerSentEvent]:
        yield ServerSentEvent(comment="open", sep="\n")
        async with aclosing(pages):  # unsubscribes when the browser leaves
            async for found in pages:
                if self._access.is_revoked:
                    break
                fitting = [event for event in found if self._filter.fits(event)]
                for event in fitting:
                    yield _rendered(event)
                if not fitting:  # the browser notes the position, and shows nothing
                    yield ServerSentEvent(id=str(found[-1].position), sep="\n")
        if self._access.is_revoked:
            yield ServerSentEvent("ended", event="ended", sep="\n")


def _rendered(event: LoggedEvent | Gap) -> ServerSentEvent:
    """Returns an event of one kind for all types, so that the page needs no list of them."""
    if isinstance(event, Gap):
        content = {"type": _GAP, "instance": "", "body": {"type": _GAP, "reason": event.reason}}
        text = orjson.dumps(content).decode()
    else:
        head = orjson.dumps({"type": event.type, "instance": event.instance_id}).decode()
        text = f'{head[:-1]},"body":{event.body}}}'
    return ServerSentEvent(text, id=str(event.position), event="callback", sep="\n")


def _token(visit: Visit) -> str:
    return visit.request.cookies.get(SESSION_COOKIE, "")


async def _may_follow(services: PanelServices, token: str, account_id: str) -> bool:
    session = await services.gateway.sign_in.sessions.find(token)
    return session is not None and session.account_id in {None, account_id}
