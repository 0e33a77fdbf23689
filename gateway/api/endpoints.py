"""The generic endpoints: accept a message, or execute an operation."""

import asyncio
import os
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.administration.audit import Caller
from gateway.api.accepted import ids_of, list_answer
from gateway.api.authentication import Authenticator
from gateway.api.body_spooling import BodySpooler
from gateway.api.callers import caller_of_account, caller_of_instance
from gateway.api.headers import header_of
from gateway.api.json_response import JsonResponse
from gateway.api.rendering import as_response
from gateway.api.request_body import read_body
from gateway.api.request_limits import UploadSlots
from gateway.api.routes import MatchedRoute, RouteTable
from gateway.api.send_requests import (
    Draft,
    DraftT,
    check_texts,
    idempotency_of,
    seconds_to_wait,
)
from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage, Queued
from gateway.database.deadlines import waiting_at_most
from gateway.errors import InvalidRequest, TooManyRequests, Unavailable
from gateway.file_work import FileWork
from gateway.instances.accounts import Account
from gateway.instances.store import Instance
from gateway.operations.services import Services
from gateway.parsing.parser import RunsTasks
from gateway.parsing.tasks import BuildCommand
from gateway.send_queue.admission import Admission
from gateway.send_queue.broadcasts import is_list
from gateway.send_queue.enqueue_request import IdempotencyKey
from gateway.settings.message_sections import HttpSection

_BODYLESS = frozenset({"GET", "HEAD"})
_REFUSAL_SECONDS = 0.5


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
        parser: RunsTasks,
        patience_seconds: float,
        uploads: UploadSlots,
        file_work: FileWork,
    ) -> None:
        self._routes, self._authenticator, self._services = routes, authenticator, services
        self._settings, self._admission, self._parser = settings, admission, parser
        self._file_work, self._patience_seconds = file_work, patience_seconds
        self._uploads, self._refusals = uploads, asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            with waiting_at_most(self._patience_seconds):
                response = await self._respond(request)
        except TooManyRequests:
            # Who repeats at once without reading the answer is slowed down, at no cost.
            await asyncio.sleep(_REFUSAL_SECONDS)
            # A thousand that came together end one by one, so that others are served in between.
            async with self._refusals:
                await asyncio.sleep(0)
            raise
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
        target: Instance | Account,
        services: Services,
        caller: Caller,
    ) -> Response:
        operation = await self._requested(request, route, services, owner=_owner_of(target))
        answer = await services.execute(operation, target, caller=caller)
        return await as_response(type(operation), answer)

    async def _requested(
        self, request: Request, route: MatchedRoute, services: Services, *, owner: str
    ) -> Operation[Any]:
        """Returns the operation that the request asks for."""
        declared = route.declared
        assert not issubclass(declared, OutgoingMessage)
        command = BuildCommand(
            b"",
            declared,
            path={**route.parameters, **_from_headers(declared, request)},
            query=_query_of(request),
            bare_list=declared.bare_list,
        )
        return await self._operation(request, command, owner, services)

    async def _operation(
        self,
        request: Request,
        command: BuildCommand[Operation[Any]],
        owner: str,
        services: Services,
    ) -> Operation[Any]:
        """Returns the operation that *command* builds from the body of the request."""
        settings, declared = self._settings, command.command
        if request.method in _BODYLESS:
            return await self._parser.run(command, owner=owner)
        if not declared.carries_media:
            limit_bytes = max(settings.max_body_bytes, declared.min_body_limit_bytes)
            with self._uploads.slot(owner):
                _fingerprint, raw = await read_body(request, limit_bytes=limit_bytes)
            return await self._parser.run(replace(command, raw=raw), owner=owner)
        async with services.intake.spool.folder_on_demand() as folder:
            spooler = self._spooler(folder, services)
            with self._uploads.slot(owner):
                _fingerprint, raw = await read_body(
                    request, limit_bytes=settings.max_media_body_bytes, spooler=spooler
                )
            command = replace(command, raw=raw, files=spooler.sources)
            return await self._parser.run(command, owner=owner)

    def _spooler(self, folder: Path, services: Services) -> BodySpooler:
        limit, reserve = self._settings.max_body_bytes, services.intake.spool.reserve
        return BodySpooler(folder, self._file_work, os.urandom, limit_bytes=limit, reserve=reserve)


class AccountEndpoint(Endpoint):
    """Serves the operations on accounts, whose paths hold no instance."""

    async def _respond(self, request: Request) -> Response:
        route, services = self._find(request, request.scope["path"])
        account = await self._authenticator.account(request, services.accounts)
        caller = caller_of_account(account, self._authenticator.address_of(request))
        caller.require_account(account.id)
        caller.require(route.declared.scope)
        services.turns.note(account.id)
        return await self._answer(request, route, account, services, caller)


class SendingEndpoint(Endpoint):
    """Puts messages into queues, whatever their requests look like."""

    async def _drafted(
        self,
        request: Request,
        services: Services,
        read: Callable[[bytes], Awaitable[DraftT]],
        *,
        owner: str,
        carries_media: bool,
    ) -> tuple[bytes, DraftT]:
        """Returns the fingerprint of the request, and the draft with its files stored.

        Args:
            request: the request.
            services: what the endpoint uses.
            read: reads the body.
            owner: the account of the caller.
            carries_media: whether the body may have a file in it.
        """
        settings = self._settings
        if not carries_media:
            with self._uploads.slot(owner):
                fingerprint, raw = await read_body(request, limit_bytes=settings.max_body_bytes)
            draft = await read(raw)
            self._admission.check(draft.instance, draft.message)
            return fingerprint, draft
        async with services.intake.spool.folder_on_demand() as folder:
            spooler = self._spooler(folder, services)
            with self._uploads.slot(owner):
                fingerprint, raw = await read_body(
                    request, limit_bytes=settings.max_media_body_bytes, spooler=spooler
                )
            draft = await read(raw)
            self._admission.check(draft.instance, draft.message)
            async with services.turns.turn(owner):
                message = await services.intake.store_files(
                    owner, draft.instance.id, draft.message, spooler.files, folder
                )
        check_texts(message, spooler)
        return fingerprint, replace(draft, message=message)

    async def _enqueue(
        self,
        request: Request,
        services: Services,
        draft: Draft,
        idempotency: IdempotencyKey | None,
    ) -> Queued:
        """Returns the message with its ids, once it is in the queue."""
        instance, message = draft.instance, draft.message
        async with services.enqueue_turns.turn(instance.account_id):
            queued = await services.enqueuer.enqueue(instance, message, idempotency=idempotency)
        services.metrics.queued(message.kind(), instance.id)
        request.scope["queue_id"] = queued.zaap_id
        return queued


class InstanceEndpoint(SendingEndpoint):
    """Serves every route below /instances/{instance_id}/token/{token}."""

    async def _respond(self, request: Request) -> Response:
        route, services = self._find(request, "/" + request.path_params["route"])
        if issubclass(route.declared, OutgoingMessage):
            return await self._send(request, route, route.declared, services)
        instance, caller = await self._authenticate(request, route, services)
        caller.require(route.declared.scope)
        await self._note(request, instance, services)
        return await self._answer(request, route, instance, services, caller)

    async def _send(
        self,
        request: Request,
        route: MatchedRoute,
        declared: type[OutgoingMessage],
        services: Services,
    ) -> Response:
        instance, key = await self._authenticator.instance(
            request, services.accounts, services.instances, *_named_in(request)
        )
        if key:
            caller_of_instance(instance, key, None).require(declared.scope)
        await self._note(request, instance, services)
        request.scope["message_type"] = declared.kind()
        return await self._accept(request, route, declared, instance, services)

    async def _note(self, request: Request, instance: Instance, services: Services) -> None:
        services.turns.note(instance.account_id)
        await services.base_urls.note(instance.id, self._authenticator.base_url_of(request))

    async def _authenticate(
        self, request: Request, route: MatchedRoute, services: Services
    ) -> tuple[Instance, Caller]:
        authenticator, address = self._authenticator, self._authenticator.address_of(request)
        credentials = services.accounts, services.instances, *_named_in(request)
        if issubclass(route.declared, Operation) and route.declared.partner:
            account, instance = await authenticator.instance_of_account(request, *credentials)
            return instance, caller_of_account(account, address)
        instance, key = await authenticator.instance(request, *credentials)
        return instance, caller_of_instance(instance, key, address)

    async def _accept(
        self,
        request: Request,
        route: MatchedRoute,
        declared: type[OutgoingMessage],
        instance: Instance,
        services: Services,
    ) -> Response:
        self._admission.require_supported(instance, declared)  # before its files are read

        async def read(raw: bytes) -> Draft:
            command = BuildCommand(raw, declared, path=route.parameters)
            async with services.turns.turn(instance.account_id):
                return Draft(instance, await self._parser.run(command, owner=instance.account_id))

        fingerprint, draft = await self._drafted(
            request,
            services,
            read,
            owner=instance.account_id,
            carries_media=declared.carries_media,
        )
        key = idempotency_of(header_of(request.headers, b"idempotency-key"), route, fingerprint)
        if is_list(draft.message) and (
            response := await _accept_for_list(instance, draft.message, services, key)
        ):
            return response
        queued = await self._enqueue(request, services, draft, key)
        answer = ids_of(queued)
        seconds = seconds_to_wait(request)
        if not seconds:
            return JsonResponse(answer)
        progress = await services.completion_waiters.wait_for(
            instance.id, queued.message_id, max_seconds=seconds
        )
        answer["status"] = progress.status if progress else "pending"
        if progress and progress.error:
            answer["error"] = progress.error
        return JsonResponse(answer, headers={"Preference-Applied": f"wait={seconds}"})


def _owner_of(target: Instance | Account) -> str:
    return target.account_id if isinstance(target, Instance) else target.id


async def _accept_for_list(
    instance: Instance,
    message: OutgoingMessage,
    services: Services,
    idempotency: IdempotencyKey | None,
) -> Response | None:
    """Answers the ids of the first message that was queued, and those of each member.

    None if the gateway has no such list.
    """
    async with services.enqueue_turns.turn(instance.account_id):
        results = await services.broadcasts.enqueue(instance, message, idempotency=idempotency)
    if results is None:
        return None
    for result in results:
        if result.queued:
            services.metrics.queued(message.kind(), instance.id)
    return JsonResponse(list_answer(results))


def _named_in(request: Request) -> tuple[str, str]:
    """Returns the instance id and the token of the path."""
    return request.path_params["instance_id"], request.path_params["token"]


def _query_of(request: Request) -> dict[str, str]:
    """Returns the parameters; of one that is given twice, a read takes the last.

    Raises:
        InvalidRequest: a change has a parameter twice. It would ignore one of them, and a deletion
            would remove what the caller did not mean.
    """
    given = request.query_params
    if request.method not in _BODYLESS:
        names = Counter(name for name, _value in given.multi_items())
        for name, count in names.items():
            if count > 1:
                raise InvalidRequest(f"{name}: is given {count} times; give it once")
    return dict(given)


def _from_headers(declared: type[Operation[Any]], request: Request) -> dict[str, str]:
    names = declared.headers()
    return {f: request.headers[name] for f, name in names.items() if name in request.headers}
