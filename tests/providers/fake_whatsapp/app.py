"""The HTTP routes: WhatsApp's own, and those by which tests control the server."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any

from pywhats.binary import Node
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.fake_whatsapp import app_state, linking, phone, routing
from tests.providers.fake_whatsapp.accounts import Universe
from tests.providers.fake_whatsapp.websocket import Connection

Body = dict[str, Any]


def whatsapp_app(universe: Universe) -> Starlette:
    async def chat(socket: WebSocket) -> None:
        if universe.refusing:
            await socket.close()
            return
        await socket.accept()
        await Connection(socket, universe).run()

    async def upload(request: Request) -> Response:
        token = request.url.path.rpartition("/")[2]
        universe.files[token] = await request.body()
        path = f"/v/{token}?token=1"  # a query follows
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


class Control:
    """The verbs by which a test controls the server; each takes and returns JSON."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe

    async def scan(self, body: Body) -> Body:
        reference = body["code"].split(",")[0].rpartition("#")[2]
        connection = self._universe.waiting.get(reference)
        if connection is None:
            return {"linked": False}
        await linking.scan(connection, self._universe.account(body["phone"]), body["code"])
        return {"linked": True}

    async def type(self, body: Body) -> Body:
        account = self._universe.account(body["phone"])
        return {"linked": await linking.type_code(account, body["code"])}

    async def cut(self, body: Body) -> Body:
        """Ends connections: silently, or with the reason the server would give."""
        reasons = {
            "logged_out": routing.stream_error(code="401", conflict="device_removed"),
            "replaced": routing.stream_error(conflict="replaced"),
        }
        for connection in self._universe.connections(body.get("phone")):
            if why := body.get("why"):
                await connection.hang_up(reasons[why])
            else:
                await connection.close()
        return {}

    async def behave(self, body: Body) -> Body:
        names = (
            *("refusing", "mute", "ignored", "hold_acks", "hold_offline", "lose", "next_fault"),
            *("spellings", "no_pictures"),
        )
        for name in names:
            setattr(self._universe, name, body.get(name, getattr(self._universe, name)))
        return {}

    async def ring(self, body: Body) -> Body:
        for connection in self._universe.connections(body["phone"]):
            await routing.call(
                connection,
                body["caller"],
                video=body.get("video", False),
                reason=body.get("reason"),
            )
        return {}

    async def repaint(self, body: Body) -> Body:
        """Tells the devices of a phone that another person has a new picture, or none."""
        for connection in self._universe.connections(body["phone"]):
            await routing.picture(connection, body["person"], removed=body.get("removed", False))
        return {}

    async def save_contact(self, body: Body) -> Body:
        """Saves a person among the contacts of a phone, as somebody does with the phone itself."""
        name = body["name"]
        return await self.write_app_state(
            {
                "phone": body["phone"],
                "collection": "critical_unblock_low",
                "index": ["contact", f"{body['person']}@s.whatsapp.net"],
                "value": {"contactAction": {"fullName": name, "firstName": name.split()[0]}},
            }
        )

    async def write_app_state(self, body: Body) -> Body:
        """Changes a contact or a chat, as somebody does with the phone itself.

        With `as_rival` the phone does so just before the next change of a device arrives.
        """
        account = self._universe.account(body["phone"])
        change = (body["collection"], body["index"], body["value"])
        if body.get("as_rival"):
            account.app_state.rivals.append(change)
            return {}
        account.app_state.write(*change)
        devices = self._universe.connections(account.phone)
        await app_state.tell(devices, account, body["collection"])
        return {}

    async def synchronise(self, body: Body) -> Body:
        """Sends the devices of a phone its history, in the JSON form of WhatsApp's protobuf."""
        account = self._universe.account(body["phone"])
        for connection in self._universe.connections(account.phone):
            notification = phone.history(
                account, connection.device, body["history"], self._universe.files
            )
            connection.device.undelivered[notification.get_str("id")] = notification
            await connection.send(notification)
        return {}

    async def inject(self, body: Body) -> Body:
        """Sends a stanza of any form to the devices of a phone."""
        content = [Node(each["tag"], each.get("attrs", {})) for each in body.get("content", [])]
        for connection in self._universe.connections(body["phone"]):
            await connection.send(Node(body["tag"], body.get("attrs", {}), content or None))
        return {}

    async def collect(self, body: Body) -> Body:
        """Makes a collection of products, as the owner of a catalogue does with the phone."""
        account = self._universe.account(body["phone"])
        account.business.collections[body["name"]] = body["products"]
        return {}

    async def appoint(self, body: Body) -> Body:
        """Makes a person an administrator of a channel, who accepted an invitation."""
        self._universe.channels[body["channel"].partition("@")[0]].admins.add(body["phone"])
        return {}

    async def state(self, _body: Body) -> Body:
        universe = self._universe
        return {
            "sent": [asdict(sent) for sent in universe.sent],
            "online": [c.jid.user for c in universe.connections()],
            "logins": dict(universe.logins),
            "unknown": dict(universe.unknown),
            "unanswered": dict(universe.unanswered),
            "presence": universe.presence,
            "lookups": universe.lookups,
            "calls": universe.calls,
            "pictures": universe.pictures,
            "devices": {phone: list(a.devices) for phone, a in universe.accounts.items()},
            "app_state": {phone: a.app_state.values for phone, a in universe.accounts.items()},
            "reported": {phone: a.privacy.reported for phone, a in universe.accounts.items()},
            "lids": {phone: a.lid for phone, a in universe.accounts.items()},
        }


def control_app(universe: Universe) -> Starlette:
    control = Control(universe)
    verbs = (
        control.scan,
        control.type,
        control.cut,
        control.behave,
        control.ring,
        control.repaint,
        control.save_contact,
        control.write_app_state,
        control.synchronise,
        control.inject,
        control.collect,
        control.appoint,
        control.state,
    )
    return Starlette(
        routes=[Route(f"/{v.__name__}", _answering(v), methods=["POST"]) for v in verbs]
    )


def _answering(
    verb: Callable[[Body], Awaitable[Body]],
) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return JSONResponse(await verb(await request.json()))

    return endpoint
