"""HTTP routes that control the simulation: scan, cut the network, write, plan faults, look.

GET  /{instance}               the phone: number, state, typing, planned faults
GET  /{instance}/sent          the messages that WhatsApp accepted
GET  /{instance}/marks         what was done to messages, sent or received
POST /{instance}/scan          links the phone: {phone?}
POST /{instance}/connection    {state: up | down | logged_out}
POST /{instance}/faults        plans faults for the next sends: {next: [...]}
POST /{instance}/<event>       simulates an event: receive, notification, call, presence,
                               chat, receipt, identity, history; bodies: simulated_events.py,
                               simulated_states.py
POST /{instance}/picture       gives a simulated person another picture: {phone, url?}
"""

from dataclasses import replace
from typing import Annotated, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.clock import Clock
from gateway.contract.wire import Chat
from gateway.providers.sandbox.bodies import ControlBody, checked, read_body
from gateway.providers.sandbox.faults import Fault
from gateway.providers.sandbox.people import People
from gateway.providers.sandbox.simulated_events import SIMULATED_EVENTS, id_of
from gateway.providers.sandbox.simulated_states import Moment, PictureBody
from gateway.providers.sandbox.stored_events import event_body
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import Authorise, MessageReceived

_MAX_FAULTS = 10_000
_KINDS = ("text", "image", "audio", "video", "document", "sticker")
_STATES = {
    "up": ConnectionState.CONNECTED,
    "down": ConnectionState.DISCONNECTED,
    "logged_out": ConnectionState.LOGGED_OUT,
}


class ScanBody(ControlBody):
    """The number of the phone that scans; without it, the number that the sandbox made up."""

    phone: Chat | None = None


class ConnectionBody(ControlBody):
    """The new state of the phone's connection."""

    state: Literal["up", "down", "logged_out"]


class FaultsBody(ControlBody):
    """The faults of the next sends, in order."""

    next: Annotated[list[Fault], Field(max_length=_MAX_FAULTS)]


class MarksQuery(ControlBody):
    """How many rows to return at most."""

    limit: int = Field(default=100, ge=1, le=10_000)


class SentQuery(MarksQuery):
    """How many rows to return at most, after which number of the journal."""

    after: int = Field(default=0, ge=0)


def control_routes(people: People, authorise: Authorise, clock: Clock) -> list[Route]:
    """Returns all control routes, relative to their mount point."""
    control = _Control(people, authorise, clock)
    return [
        Route("/{instance_id}", control.look, methods=["GET"]),
        Route("/{instance_id}/scan", control.scan, methods=["POST"]),
        Route("/{instance_id}/connection", control.connection, methods=["POST"]),
        *(
            Route(f"/{{instance_id}}/{name}", control.simulate, methods=["POST"])
            for name in SIMULATED_EVENTS
        ),
        Route("/{instance_id}/picture", control.picture, methods=["POST"]),
        Route("/{instance_id}/faults", control.faults, methods=["POST"]),
        Route("/{instance_id}/sent", control.sent, methods=["GET"]),
        Route("/{instance_id}/marks", control.marks, methods=["GET"]),
    ]


class _Control:
    def __init__(self, people: People, authorise: Authorise, clock: Clock) -> None:
        self._people, self._authorise, self._clock = people, authorise, clock

    async def look(self, request: Request) -> Response:
        return await self._seen(await self._instance(request))

    async def scan(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        body = await read_body(ScanBody, request)
        await self._people.scan(instance_id, body.phone)
        return await self._seen(instance_id)

    async def connection(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        body = await read_body(ConnectionBody, request)
        await self._people.change_state(instance_id, _STATES[body.state])
        return await self._seen(instance_id)

    async def simulate(self, request: Request) -> Response:
        """Simulates the event that the path names."""
        instance_id = await self._instance(request)
        model = SIMULATED_EVENTS[request.url.path.rpartition("/")[2]]
        body = await read_body(model, request)
        event = body.event(Moment(self._clock.now(), self._people.new_message_id()))
        if isinstance(event, MessageReceived) and event.expiration_seconds == 0:
            seconds = await self._people.expiration_seconds(instance_id, event.chat)
            event = replace(event, expiration_seconds=seconds)
        await self._people.write(instance_id, event_body(event))
        return JSONResponse({"messageId": message_id} if (message_id := id_of(event)) else {})

    async def picture(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        body = await read_body(PictureBody, request)
        await self._people.change_picture(instance_id, body.phone, body.url, at=self._clock.now())
        return JSONResponse({})

    async def faults(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        body = await read_body(FaultsBody, request)
        await self._people.plan_faults(instance_id, body.next)
        return JSONResponse({"faults": len(body.next)})

    async def sent(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        wanted = checked(SentQuery, dict(request.query_params))
        rows = await self._people.sent(instance_id, after=wanted.after, max_count=wanted.limit)
        return JSONResponse(
            [
                {
                    "number": row["number"],
                    "messageId": row["message_id"],
                    "seen": row["seen"],
                    "type": row["type"],
                    "phone": row["phone"],
                    "payload": row["payload"],
                    "at": row["at"].isoformat(),
                    "marks": row["marks"] or {},
                }
                for row in rows
            ]
        )

    async def marks(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        wanted = checked(MarksQuery, dict(request.query_params))
        rows = await self._people.marks(instance_id, max_count=wanted.limit)
        return JSONResponse([{"messageId": r["message_id"], "marks": r["marks"]} for r in rows])

    async def _instance(self, request: Request) -> str:
        instance_id: str = request.path_params["instance_id"]
        await self._authorise(request.headers, instance_id)
        return instance_id

    async def _seen(self, instance_id: str) -> Response:
        seen = await self._people.look(instance_id)
        typing = seen.typing_until and {
            "phone": seen.typing_to,
            "until": seen.typing_until.isoformat(),
        }
        return JSONResponse(
            {
                "phone": seen.phone,
                "state": seen.state.value,
                "typing": typing,
                "faults": seen.faults,
            }
        )
