"""The generic endpoints: accept a message, or execute an operation."""

import asyncio
import hashlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from gateway.api.authentication import Authenticator
from gateway.api.body_spooling import BodySpooler, with_files_restored
from gateway.api.json_response import JsonResponse
from gateway.api.request_body import read_json
from gateway.api.routes import MatchedRoute, RouteTable
from gateway.contract.building import build
from gateway.contract.operation import Operation, Picture
from gateway.contract.send import OutgoingMessage
from gateway.database.deadlines import waiting_at_most
from gateway.errors import InvalidRequest, Unavailable
from gateway.instances.accounts import Account
from gateway.instances.store import Instance
from gateway.operations.services import Services
from gateway.send_queue.admission import Admission
from gateway.send_queue.enqueue_request import IdempotencyKey
from gateway.settings.message_sections import HttpSection

_MAX_KEY_LENGTH = 255
_BODYLESS = frozenset({"GET", "HEAD"})
_NO_CONTENT = 204
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\b", re.IGNORECASE)
_MAX_WAIT_SECONDS = 60


class Endpoint:
    """Serves the declared classes of a route table as one ASGI application."""

    def __init__(
        self,
        routes: RouteTable,
        authenticator: Authenticator,
        services: Callable[[], Services | None],
        settings: HttpSection,
        admission: Admission,
        *,
        patience_seconds: float,
    ) -> None:
        self._routes, self._authenticator, self._services = routes, authenticator, services
        self._settings, self._admission = settings, admission
        self._turns, self._patience_seconds = asyncio.Lock(), patience_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        with waiting_at_most(self._patience_seconds):
            response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        raise NotImplementedError

    def _find(self, request: Request, path: str) -> tuple[MatchedRoute, Services]:
        route = self._routes.find(request.method, path)
        request.scope["route_template"] = route.template
        services = self._services()
        if services is None:
            raise Unavailable("The gateway is starting")
        return route, services

    async def _answer(
        self,
        request: Request,
        route: MatchedRoute,
        declared: type[Operation[Any]],
        subject: Instance | Account,
        services: Services,
    ) -> Response:
        body: Any = {}
        if request.method not in _BODYLESS:
            body = await self._body(request, declared, services)
        if declared.bare_list and isinstance(body, list):
            body = {declared.bare_list: body}
        operation = build(
            declared,
            body,
            path={**route.parameters, **_from_headers(declared, request)},
            query=request.query_params,
        )
        answer = await services.execute(
            operation, subject, address=self._authenticator.address_of(request)
        )
        return _as_response(declared, answer)

    async def _body(
        self, request: Request, declared: type[Operation[Any]], services: Services
    ) -> Any:  # noqa: ANN401 - any JSON value
        settings = self._settings
        if not declared.carries_media:
            limit_bytes = max(settings.max_body_bytes, declared.min_body_limit_bytes)
            return (await read_json(request, limit_bytes=limit_bytes))[1]
        async with services.intake.spool.folder() as folder:
            spooler = self._spooler(folder)
            _fingerprint, body = await read_json(
                request, limit_bytes=settings.max_media_body_bytes, spooler=spooler
            )
            return await asyncio.to_thread(with_files_restored, body, spooler.files)

    def _spooler(self, folder: Path) -> BodySpooler:
        limit_bytes = self._settings.max_body_bytes
        return BodySpooler(folder, self._turns, os.urandom, limit_bytes=limit_bytes)


class AccountEndpoint(Endpoint):
    """Serves the operations on accounts, whose paths hold no instance."""

    async def _respond(self, request: Request) -> Response:
        route, services = self._find(request, request.scope["path"])
        assert not issubclass(route.declared, OutgoingMessage)
        account = await self._authenticator.account(request, services.accounts)
        return await self._answer(request, route, route.declared, account, services)


class InstanceEndpoint(Endpoint):
    """Serves every route below /instances/{instance_id}/token/{token}."""

    async def _respond(self, request: Request) -> Response:
        parameters = request.path_params
        route, services = self._find(request, "/" + parameters["route"])
        instance = await self._authenticate(
            request, route, services, parameters["instance_id"], parameters["token"]
        )
        await services.base_urls.note(instance.id, self._authenticator.base_url_of(request))
        if issubclass(route.declared, OutgoingMessage):
            request.scope["message_type"] = route.declared.kind()
            return await self._accept(request, route, route.declared, instance, services)
        return await self._answer(request, route, route.declared, instance, services)

    async def _authenticate(
        self,
        request: Request,
        route: MatchedRoute,
        services: Services,
        instance_id: str,
        token: str,
    ) -> Instance:
        instances = services.instances
        if issubclass(route.declared, Operation) and route.declared.partner:
            return await self._authenticator.instance_of_account(
                request, services.accounts, instances, instance_id, token
            )
        return await self._authenticator.instance(request, instances, instance_id, token)

    async def _accept(
        self,
        request: Request,
        route: MatchedRoute,
        declared: type[OutgoingMessage],
        instance: Instance,
        services: Services,
    ) -> Response:
        fingerprint, message = await self._message(request, route, declared, instance, services)
        queued = await services.enqueuer.enqueue(
            instance, message, idempotency=_idempotency(request, route, fingerprint)
        )
        services.metrics.queued(declared.kind(), instance.id)
        answer: dict[str, Any] = {
            "zaapId": queued.zaap_id,
            "messageId": queued.message_id,
            "id": queued.id,
        }
        if queued.scheduled_for:
            answer["scheduledFor"] = queued.scheduled_for
        seconds = _seconds_to_wait(request)
        if not seconds:
            return JsonResponse(answer)
        progress = await services.completion_waiters.wait_for(
            instance.id, queued.message_id, max_seconds=seconds
        )
        answer["status"] = progress.status if progress else "pending"
        if progress and progress.error:
            answer["error"] = progress.error
        return JsonResponse(answer, headers={"Preference-Applied": f"wait={seconds}"})

    async def _message(
        self,
        request: Request,
        route: MatchedRoute,
        declared: type[OutgoingMessage],
        instance: Instance,
        services: Services,
    ) -> tuple[bytes, OutgoingMessage]:
        """Returns the fingerprint of the request, and the message with its files stored."""
        settings = self._settings
        if not declared.carries_media:
            fingerprint, body = await read_json(request, limit_bytes=settings.max_body_bytes)
            message = build(declared, body, path=route.parameters)
            self._admission.check(instance, message)
            return fingerprint, message
        async with services.intake.spool.folder() as folder:
            spooler = self._spooler(folder)
            fingerprint, body = await read_json(
                request, limit_bytes=settings.max_media_body_bytes, spooler=spooler
            )
            message = build(declared, body, path=route.parameters)
            self._admission.check(instance, message)
            message = await services.intake.store_files(instance.id, message, spooler.files, folder)
        _check_texts(message, spooler)
        return fingerprint, message


def _check_texts(message: OutgoingMessage, spooler: BodySpooler) -> None:
    """Raises InvalidRequest for a text so long that it was spooled like a file."""
    if not spooler.files or not spooler.has_placeholder_in(message.model_dump_json()):
        return
    for field, value in message.model_dump(by_alias=True, mode="json").items():
        if spooler.has_placeholder_in(str(value)):
            raise InvalidRequest(f"{field}: is too long for a text; shorten it")


def _idempotency(
    request: Request, route: MatchedRoute, fingerprint: bytes
) -> IdempotencyKey | None:
    key = request.headers.get("idempotency-key")
    if not key:
        return None
    if len(key) > _MAX_KEY_LENGTH:
        raise InvalidRequest(f"Idempotency-Key: must be at most {_MAX_KEY_LENGTH} characters")
    digest = hashlib.sha256(route.template.encode() + b"\n" + fingerprint)
    return IdempotencyKey(key, digest.digest())


def _seconds_to_wait(request: Request) -> int:
    """Returns the seconds of `Prefer: wait=20`; ignores a preference it cannot read (RFC 7240)."""
    found = _WAIT.search(request.headers.get("prefer", ""))
    return min(int(found[1]), _MAX_WAIT_SECONDS) if found else 0


def _from_headers(declared: type[Operation[Any]], request: Request) -> dict[str, str]:
    names = declared.headers()
    return {f: request.headers[name] for f, name in names.items() if name in request.headers}


def _as_response(declared: type[Operation[Any]], answer: object) -> Response:
    if declared.answer_status == _NO_CONTENT:
        return Response(status_code=_NO_CONTENT)
    if isinstance(answer, Picture):
        return Response(answer.content, media_type=answer.mime_type)
    if isinstance(answer, str):
        return PlainTextResponse(answer, status_code=declared.answer_status)
    return JsonResponse(_plain(answer), status_code=declared.answer_status)


def _plain(answer: object) -> object:
    if isinstance(answer, BaseModel):
        return answer.model_dump(by_alias=True, mode="json")
    if isinstance(answer, list | tuple):
        return [_plain(item) for item in answer]
    return answer
