"""The stream of a tab: it says which topics changed."""

from collections.abc import AsyncIterator
from functools import partial

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.responses import Response

from gateway.contract.scopes import ApiScope
from gateway.errors import InvalidRequest, NotFound
from gateway.panel.languages import N_
from gateway.panel.live import MAX_TOPICS
from gateway.panel.page import Page
from gateway.panel.visit import Visit
from gateway.users.sessions import SESSION_COOKIE, UserSessions

page = Page(path="/live", title=N_("Live"), scope=ApiScope.READ)
_KINDS = frozenset({"account", "instance", "queue"})
_HEARTBEAT_SECONDS = 15
_SEND_SECONDS = 30.0


@page.get()
async def follow(visit: Visit) -> Response:
    """Answers `topics=queue:ID,instance:ID,account:ID` with an event `changed` for each change."""
    topics = frozenset(filter(None, visit.query("topics").split(",")))
    if len(topics) > MAX_TOPICS:
        raise InvalidRequest(f"topics: at most {MAX_TOPICS}")
    for topic in topics:
        await _require_known(visit, topic)
    sessions = visit.services.gateway.sign_in.sessions
    token = visit.request.cookies.get(SESSION_COOKIE, "")
    changes = visit.services.live.open(
        visit.user.user_id, visit.user.account_id, topics, partial(_is_open, sessions, token)
    )
    return EventSourceResponse(
        _events(changes), ping=_HEARTBEAT_SECONDS, send_timeout=_SEND_SECONDS, sep="\n"
    )


async def _require_known(visit: Visit, topic: str) -> None:
    kind, _, name = topic.partition(":")
    if kind not in _KINDS:
        raise InvalidRequest("topics: an unknown kind")
    if kind != "account":
        await visit.instance_named(name)
    elif visit.user.account_id not in {None, name}:
        raise NotFound("There is no such account")


async def _is_open(sessions: UserSessions, token: str) -> bool:
    return await sessions.find(token) is not None


async def _events(changes: AsyncIterator[str]) -> AsyncIterator[ServerSentEvent]:
    async for topic in changes:
        kind = "ended" if topic == "ended" else "changed"
        yield ServerSentEvent(topic, event=kind, sep="\n")
