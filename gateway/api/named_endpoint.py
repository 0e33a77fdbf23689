"""Serves the routes of an account that name the instance by its id or its name.

Each translates its fields and then does what a route of the instance does.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.administration.audit import Caller
from gateway.api.callers import caller_of_account
from gateway.api.endpoints import SendingEndpoint
from gateway.api.error_replies import ANSWERS_SUCCESS
from gateway.api.headers import header_of
from gateway.api.rendering import as_response
from gateway.api.routes import MatchedRoute
from gateway.api.send_requests import Draft, idempotency_of, seconds_to_wait
from gateway.contract.extensions.named.figures import ReadNamedHealth
from gateway.contract.extensions.named.route import InstanceByName, NamedOperation
from gateway.contract.extensions.named.sends import (
    FlatSend,
    QueuedByName,
    ScheduledByName,
    ScheduleNamedMessage,
)
from gateway.contract.flat import SCHEDULE_KEY, recipient_of, respelled
from gateway.contract.operation import Operation
from gateway.contract.scopes import ApiScope
from gateway.contract.send import Queued
from gateway.errors import InvalidRequest, Unavailable
from gateway.instances.accounts import Account
from gateway.instances.store import Instance
from gateway.operations.named import NamedContext, handlers
from gateway.operations.services import Services
from gateway.parsing.flat_sends import ReadFlatSend
from gateway.send_queue.broadcasts import is_list

_SCHEDULED: Final = "The message is scheduled"
_LENT: Final = frozenset({ApiScope.READ, ApiScope.SEND})
"""What an act does on its way needs no scope beside its own, except one that shows secrets."""
_UNSUCCESSFUL: Final = frozenset({"canceled", "failed"})


@dataclass(frozen=True, slots=True)
class NamedDraft(Draft):
    """A message, and the request that described it."""

    operation: FlatSend[Any]


class NamedEndpoint(SendingEndpoint):
    """Serves the routes by instance name.

    A caller who is limited to instances reaches the routes that name one of these. `readiness`
    returns what keeps the gateway from serving, or None.
    """

    readiness: Callable[[], Awaitable[str | None]]

    async def _respond(self, request: Request) -> Response:
        request.scope[ANSWERS_SUCCESS] = True
        route, services = self._find(request, request.scope["path"])
        account = await self._authenticator.account(request, services.accounts)
        caller = caller_of_account(account, self._authenticator.address_of(request))
        declared = route.declared
        caller.require(declared.scope)
        services.turns.note(account.id)
        if issubclass(declared, FlatSend):
            return await self._send(request, route, declared, account, services)
        if issubclass(declared, InstanceByName):
            return await self._act(request, route, account, services, caller)
        caller.require_account(account.id)
        if issubclass(declared, ReadNamedHealth) and (problem := await self.readiness()):
            raise Unavailable(problem)
        return await self._answer(request, route, account, services, caller)

    async def _act(
        self,
        request: Request,
        route: MatchedRoute,
        account: Account,
        services: Services,
        caller: Caller,
    ) -> Response:
        """Executes what the request leads to on its instance."""
        operation = await self._requested(request, route, services, owner=account.id)
        assert isinstance(operation, InstanceByName)
        instance = await self._instance(request, operation, account, services)
        lent = replace(caller, scopes=caller.scopes | _LENT)

        async def execute(on_instance: Operation[Any]) -> Any:  # noqa: ANN401 - any result
            return await services.execute(on_instance, instance, caller=lent)

        answer = await handlers.handle(NamedContext(instance, execute), operation)
        return await as_response(type(operation), answer)

    async def _instance(
        self,
        request: Request,
        operation: NamedOperation[Any],
        account: Account,
        services: Services,
    ) -> Instance:
        given = operation.given_instance()
        if given is None:
            raise InvalidRequest(f"{operation.instance_fields[0]}: is required")
        field, named = given
        among = account.key.instance_ids if account.key else frozenset[str]()
        instance = await self._authenticator.named_instance(
            account, services.instances, named, field=field, among=among
        )
        # Logs and error reports take the id from here, as for paths that hold it.
        request.scope["path_params"] = {**request.path_params, "instance_id": instance.id}
        await services.base_urls.note(instance.id, self._authenticator.base_url_of(request))
        return instance

    async def _send(
        self,
        request: Request,
        route: MatchedRoute,
        declared: type[FlatSend[Any]],
        account: Account,
        services: Services,
    ) -> Response:
        read_draft: NamedDraft | None = None

        async def read(raw: bytes) -> NamedDraft:
            nonlocal read_draft
            read_draft = await self._read(raw, request, declared, account, services)
            return read_draft

        try:
            fingerprint, draft = await self._drafted(
                request, services, read, owner=account.id, carries_media=declared.carries_media
            )
            key = idempotency_of(_key_of(request, draft.operation), route, fingerprint)
            queued = await self._enqueue(request, services, draft, key)
        except InvalidRequest as error:
            raise _in_words_of_the_caller(error, read_draft) from None
        return await self._render(request, services, draft, queued)

    async def _read(
        self,
        raw: bytes,
        request: Request,
        declared: type[FlatSend[Any]],
        account: Account,
        services: Services,
    ) -> NamedDraft:
        async with services.turns.turn(account.id):
            found = await self._parser.run(ReadFlatSend(raw, declared), owner=account.id)
        if found.operation.user_id not in (None, account.id, account.name):
            raise InvalidRequest("userId: must be the id or the name of the account of this token")
        if is_list(found.message):
            raise InvalidRequest("phone: a broadcast list is sent to by the routes of an instance")
        request.scope["message_type"] = found.message.kind()
        instance = await self._instance(request, found.operation, account, services)
        return NamedDraft(instance, found.message, found.operation)

    async def _render(
        self, request: Request, services: Services, draft: NamedDraft, queued: Queued
    ) -> Response:
        operation, scheduled_for = draft.operation, draft.message.scheduled_for
        if isinstance(operation, ScheduleNamedMessage):
            return await as_response(type(operation), _scheduled(operation, queued))
        answer = QueuedByName(
            status="queued",
            zaap_id=queued.zaap_id,
            message_id=queued.message_id,
            id=queued.id,
            scheduled_for=scheduled_for,
        )
        preferred = seconds_to_wait(request)
        if seconds := preferred or self._seconds_to_outcome(draft):
            answer = await _with_outcome(answer, draft.instance, services, seconds)
        response = await as_response(type(operation), answer)
        if preferred:
            response.headers["Preference-Applied"] = f"wait={preferred}"
        return response

    def _seconds_to_outcome(self, draft: NamedDraft) -> int:
        """Returns how long the operator lets the answer wait; a scheduled message is no outcome."""
        waits = draft.operation.answers_outcome and draft.message.scheduled_for is None
        return self._settings.named_api_wait_seconds if waits else 0


def _key_of(request: Request, operation: FlatSend[Any]) -> str | None:
    """Returns the key in the header, or one made of the caller's own id, as for Kafka."""
    if key := header_of(request.headers, b"idempotency-key"):
        return key
    own_id = operation.own_id()
    return own_id and f"{SCHEDULE_KEY}{own_id}"


def _scheduled(operation: ScheduleNamedMessage, queued: Queued) -> ScheduledByName:
    return ScheduledByName(
        status="scheduled",
        schedule_id=operation.schedule_id or queued.zaap_id,
        scheduled_for=operation.scheduled_for.astimezone(UTC),
        message=_SCHEDULED,
        zaap_id=queued.zaap_id,
        message_id=queued.message_id,
        id=queued.id,
    )


async def _with_outcome(
    answer: QueuedByName, instance: Instance, services: Services, seconds: int
) -> QueuedByName:
    """Returns the answer with the final state, if it comes within *seconds*."""
    progress = await services.completion_waiters.wait_for(
        instance.id, answer.message_id, max_seconds=seconds
    )
    if progress is None or not progress.is_final:
        return answer
    return answer.model_copy(
        update={
            "success": progress.status not in _UNSUCCESSFUL,
            "status": progress.status,
            "error": progress.error,
        }
    )


def _in_words_of_the_caller(error: InvalidRequest, draft: NamedDraft | None) -> InvalidRequest:
    """Returns the error with the fields as the request spells them."""
    if draft is None:
        return error
    recipient = recipient_of(draft.operation.flat_fields())
    text = respelled(str(error), draft.message.kind(), recipient=recipient)
    return error if text == str(error) else InvalidRequest(text)
