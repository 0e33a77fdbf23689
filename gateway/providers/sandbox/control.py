"""The far side of the simulation over HTTP: scan, cut the network, write, plan faults, look."""

import json
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.contract.wire import Chat
from gateway.errors import InvalidRequest
from gateway.providers.sandbox.faults import Fault
from gateway.providers.sandbox.people import People
from gateway.providers.sandbox.telling import notification, received
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import Authorise

BodyModel = TypeVar("BodyModel", bound=BaseModel)

_MOST_FAULTS = 10_000
_KINDS = ("text", "image", "audio", "video", "document", "sticker")
_STATES = {
    "up": ConnectionState.CONNECTED,
    "down": ConnectionState.DISCONNECTED,
    "logged_out": ConnectionState.LOGGED_OUT,
}


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


class ScanBody(_Body):
    """Who scans: another phone than the one the sandbox made up, if a number is given."""

    phone: Chat | None = None


class ConnectionBody(_Body):
    """What becomes of the phone's network."""

    state: Literal["up", "down", "logged_out"]


class _Text(_Body):
    message: str = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _bare_text(cls, value: object) -> object:
        return {"message": value} if isinstance(value, str) else value


class _File(_Body):
    """`source` is a URL, a `data:` URI or base64; the rest is told as it is."""

    model_config = ConfigDict(extra="allow")

    source: str = Field(min_length=1)
    file_name: str | None = None

    def told(self) -> dict[str, Any]:
        named = {"fileName": self.file_name} if self.file_name else {}
        return {**named, **(self.model_extra or {})}


class ReceiveBody(_Body):
    """Something somebody writes; `chat` where it is not the one with *phone*, such as a group."""

    phone: Chat
    text: _Text | None = None
    image: _File | None = None
    audio: _File | None = None
    video: _File | None = None
    document: _File | None = None
    sticker: _File | None = None
    sender_name: str | None = None
    message_id: Annotated[str | None, Field(min_length=1)] = None
    from_me: bool = False
    chat: Chat | None = None

    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in _KINDS) != 1:
            raise PydanticCustomError("one", f"one of {', '.join(_KINDS)} is needed")
        return self

    def said(self) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
        """Its kind, what is told of it, and the file to keep."""
        if self.text:
            return "text", {"message": self.text.message}, None
        for kind in _KINDS:
            if isinstance(file := getattr(self, kind), _File):
                return kind, file.told(), {"source": file.source, "name": file.file_name}
        raise AssertionError("nothing was said")


class CallBody(_Body):
    """Who rings."""

    phone: Chat


class FaultsBody(_Body):
    """What the next sends run into, in order."""

    next: Annotated[list[Fault], Field(max_length=_MOST_FAULTS)]


class MarksQuery(_Body):
    """How many at most."""

    limit: int = Field(default=100, ge=1, le=10_000)


class SentQuery(MarksQuery):
    """Which part of the journal."""

    after: int = Field(default=0, ge=0)


def control_routes(people: People, authorise: Authorise) -> list[Route]:
    """Every route, relative to where they are mounted."""
    control = _Control(people, authorise)
    return [
        Route("/{instance_id}", control.look, methods=["GET"]),
        Route("/{instance_id}/scan", control.scan, methods=["POST"]),
        Route("/{instance_id}/connection", control.connection, methods=["POST"]),
        Route("/{instance_id}/receive", control.receive, methods=["POST"]),
        Route("/{instance_id}/call", control.call, methods=["POST"]),
        Route("/{instance_id}/faults", control.faults, methods=["POST"]),
        Route("/{instance_id}/sent", control.sent, methods=["GET"]),
        Route("/{instance_id}/marks", control.marks, methods=["GET"]),
    ]


class _Control:
    def __init__(self, people: People, authorise: Authorise) -> None:
        self._people, self._authorise = people, authorise

    async def look(self, request: Request) -> Response:
        return await self._seen(await self._instance(request))

    async def scan(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        body = await _read(ScanBody, request)
        await self._people.scan(instance_id, body.phone)
        return await self._seen(instance_id)

    async def connection(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        body = await _read(ConnectionBody, request)
        await self._people.change_state(instance_id, _STATES[body.state])
        return await self._seen(instance_id)

    async def receive(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        body = await _read(ReceiveBody, request)
        message_id = body.message_id or self._people.new_message_id()
        kind, content, file = body.said()
        await self._people.write(
            instance_id,
            received(
                message_id=message_id,
                chat=body.chat or body.phone,
                sender=None if body.from_me else body.phone,
                sender_name=body.sender_name,
                kind=kind,
                content=content,
                file=file,
            ),
        )
        return JSONResponse({"messageId": message_id})

    async def call(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        body = await _read(CallBody, request)
        call_id = self._people.new_message_id()
        ringing = notification(
            "CALL_VOICE", notification_id=call_id, chat=body.phone, by=body.phone, callId=call_id
        )
        await self._people.write(instance_id, ringing)
        return JSONResponse({"callId": call_id})

    async def faults(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        body = await _read(FaultsBody, request)
        await self._people.plan_faults(instance_id, body.next)
        return JSONResponse({"faults": len(body.next)})

    async def sent(self, request: Request) -> Response:
        instance_id = await self._instance(request)
        wanted = _checked(SentQuery, dict(request.query_params))
        rows = await self._people.sent(instance_id, after=wanted.after, most=wanted.limit)
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
        wanted = _checked(MarksQuery, dict(request.query_params))
        rows = await self._people.marks(instance_id, most=wanted.limit)
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


async def _read(model: type[BodyModel], request: Request) -> BodyModel:
    written = await request.body()
    if b"\\u0000" in written:
        raise InvalidRequest("The body holds a NUL character, which Postgres cannot keep")
    try:
        value = json.loads(written or b"{}")
    except ValueError:
        raise InvalidRequest("The body is not JSON") from None
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object")
    return _checked(model, value)


def _checked(model: type[BodyModel], value: object) -> BodyModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidRequest(_sentence(error)) from None


def _sentence(error: ValidationError) -> str:
    """The first thing wrong, such as `state: must be one of up, down, logged_out`."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "missing":
            return f"{field}: is missing"
        case "extra_forbidden":
            return f"{field}: is not known here"
        case "literal_error" | "enum":
            choices = first["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            return f"{field}: must be one of {choices}"
        case _:
            return f"{field}: {first['msg'].replace('Input should be', 'must be')}"
