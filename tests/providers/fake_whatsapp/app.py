"""The HTTP of it: WhatsApp's own, and how tests steer it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.providers.fake_whatsapp import linking, routing
from tests.providers.fake_whatsapp.accounts import Universe
from tests.providers.fake_whatsapp.websocket import Connection

Body = dict[str, Any]


def whatsapp_app(universe: Universe) -> Starlette:
    async def chat(socket: WebSocket) -> None:
        await socket.accept()
        await Connection(socket, universe).run()

    async def upload(request: Request) -> Response:
        token = request.url.path.rpartition("/")[2]
        universe.files[token] = await request.body()
        path = f"/v/{token}"
        return JSONResponse({"url": f"https://mmg.whatsapp.net{path}", "direct_path": path})

    async def download(request: Request) -> Response:
        content = universe.files.get(request.path_params["token"])
        return Response(status_code=404) if content is None else Response(content)

    return Starlette(
        routes=[
            WebSocketRoute("/ws/chat", chat),
            Route("/v/{token}", download),
            Route("/{path:path}", upload, methods=["POST"]),
        ]
    )


def control_app(universe: Universe) -> Starlette:
    async def scan(body: Body) -> Body:
        reference = body["code"].split(",")[0].rpartition("#")[2]
        connection = universe.waiting.get(reference)
        if connection is None:
            return {"linked": False}
        await linking.scan(connection, universe.account(body["phone"]), body["code"])
        return {"linked": True}

    async def type_code(body: Body) -> Body:
        return {"linked": await linking.type_code(universe.account(body["phone"]), body["code"])}

    async def cut(body: Body) -> Body:
        """Ends connections: silently, or with the reason the server would give."""
        universe.refusing = body.get("refusing", universe.refusing)
        for connection in universe.connections(body.get("phone")):
            match body.get("why"):
                case "logged_out":
                    await connection.send(
                        routing.stream_error(code="401", conflict="device_removed")
                    )
                case "replaced":
                    await connection.send(routing.stream_error(conflict="replaced"))
            await connection.close()
        return {}

    async def behave(body: Body) -> Body:
        for name in ("refusing", "mute", "hold_acks"):
            setattr(universe, name, body.get(name, getattr(universe, name)))
        return {}

    async def ring(body: Body) -> Body:
        for connection in universe.connections(body["phone"]):
            await routing.call(connection, body["caller"])
        return {}

    async def state(_body: Body) -> Body:
        return {
            "sent": [asdict(sent) for sent in universe.sent],
            "online": [c.jid.user for c in universe.connections()],
            "logins": dict(universe.logins),
            "unknown": dict(universe.unknown),
            "presence": universe.presence,
            "devices": {phone: list(a.devices) for phone, a in universe.accounts.items()},
            "lids": {phone: a.lid for phone, a in universe.accounts.items()},
        }

    verbs = {
        "scan": scan,
        "type": type_code,
        "cut": cut,
        "behave": behave,
        "ring": ring,
        "state": state,
    }
    return Starlette(
        routes=[Route(f"/{name}", _answering(verb), methods=["POST"]) for name, verb in verbs.items()]
    )


def _answering(
    verb: Callable[[Body], Awaitable[Body]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        async with asyncio.timeout(10):
            return JSONResponse(await verb(await request.json()))

    return endpoint
