"""Executes an operation on a session of another node, over that node's internal listener.

    this node    find the owner of the lease  ->  sign  ->  POST /relay/<instance>/<operation>
    other node   check signature, age, node, epoch, length and nonce  ->  read the body and check
                 its digest  ->  execute it on the session
    back         the result, or the error by its name

Nodes trust each other by a key that is derived from GATEWAY_SECRET_KEY, which all nodes share.
"""

import json
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar, cast

import httpx
from pydantic import TypeAdapter, ValidationError

from gateway import errors
from gateway.clock import Clock
from gateway.contract.operation import Operation
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, GatewayError, SessionUnavailable
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.parsing.parser import RunsTasks
from gateway.parsing.tasks import ReadOperation
from gateway.randomness import RandomBytes
from gateway.sessions.relay_calls import (
    MAX_AGE_SECONDS,
    CallHead,
    SeenNonces,
    digest_of,
    head_of,
)

Result = TypeVar("Result")

_FIND_LEASE_OWNER = query("sessions", "find_lease_owner")
_EARLIER_CALLS_COUNT = query("sessions", "earlier_calls_count")

_CONNECT_SECONDS = 3.0
_MAX_ATTEMPTS = 2  # the lease may change its owner during the call
_NONCE_BYTES = 16
_EARLIER_SECONDS = 5.0
_EXECUTED, _FORBIDDEN, _MOVED, _TOO_LARGE, _RAISED, _FAILED = 200, 403, 409, 413, 422, 500
NOT_OPEN = "The session of this instance is not open right now"


class NotOpen(SessionUnavailable):
    """No node has the session open."""

    def __init__(self) -> None:
        super().__init__(NOT_OPEN)


@dataclass(frozen=True, slots=True)
class _LeaseOwner:
    node_id: str
    epoch: int
    internal_address: str | None
    database_seconds: float
    checks_nonces: bool


class Relay:
    """The calling side."""

    def __init__(
        self,
        database: Database,
        http: httpx.AsyncClient,
        random_bytes: RandomBytes,
        *,
        node_id: str,
        secret: str,
    ) -> None:
        self._database, self._http, self._random_bytes = database, http, random_bytes
        self._node_id, self._secret = node_id, secret

    async def execute(self, instance_id: str, operation: Operation[Result]) -> Result:
        """Returns the result from the node that has the session.

        Raises:
            NotOpen: no other node owns the lease.
            SessionUnavailable: the node that owns it does not answer.
            GatewayError: what the session raised on that node.
        """
        for _ in range(_MAX_ATTEMPTS):
            owner = await self._database.fetch_one(
                _LeaseOwner, _FIND_LEASE_OWNER, instance_id=instance_id
            )
            if owner is None or owner.node_id == self._node_id or not owner.internal_address:
                break
            response = await self._post(owner, owner.internal_address, instance_id, operation)
            if response.status_code == _EXECUTED:
                return read_result(operation, response.content)
            if response.status_code == _RAISED:
                raise error_of(response.content)
            logger.warning(
                "relay_refused",
                instance_id=instance_id,
                node_id=owner.node_id,
                status=response.status_code,
            )
            if response.status_code != _MOVED:
                raise SessionUnavailable("The node that has the session did not answer")
        raise NotOpen

    async def _post(
        self, owner: _LeaseOwner, address: str, instance_id: str, operation: Operation[Any]
    ) -> httpx.Response:
        path = f"/relay/{instance_id}/{type(operation).__name__}"
        body = operation.model_dump_json(exclude_unset=True).encode()
        digest = digest_of(body)
        call = CallHead(path, owner.node_id, owner.epoch, int(owner.database_seconds), len(body))
        if owner.checks_nonces:
            call = replace(call, nonce=self._random_bytes(_NONCE_BYTES).hex(), digest=digest)
        try:
            return await self._http.post(
                address + path,
                content=body,
                headers=call.headers(self._secret, body_digest=digest),
            )
        except httpx.HTTPError as error:
            logger.warning(
                "relay_failed",
                instance_id=instance_id,
                node_id=owner.node_id,
                error=type(error).__name__,
            )
            raise SessionUnavailable(
                "The node that has the session is out of reach right now"
            ) from None


def relay_client(*, timeout_seconds: float) -> httpx.AsyncClient:
    """Makes a client that connects to nodes directly, not through the environment's proxy."""
    timeout = httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS)
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(timeout=timeout, trust_env=False, cookies=no_cookies)


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayReceiver:
    """The answering side: executes calls of other nodes on the sessions of this node.

    Attributes:
        node_id: the name of this node.
        secrets: the current secret and the earlier ones.
        epoch_of: returns the epoch of an instance's lease, if this node owns it.
        database_seconds: returns the time of the database.
        execute: executes an operation on the session of an instance.
        parser: reads the operation of a call.
        accepts_earlier_form: returns whether a node of an earlier release may still call.
        metrics: counts the calls that are refused, by reason.
        max_body_bytes: the largest body that is read.
    """

    node_id: str
    secrets: Sequence[str]
    epoch_of: Callable[[str], int | None]
    database_seconds: Callable[[], float]
    execute: Callable[[str, Operation[Any]], Awaitable[object]]
    parser: RunsTasks
    accepts_earlier_form: Callable[[], Awaitable[bool]]
    metrics: Metrics
    max_body_bytes: int
    _seen: SeenNonces = field(default_factory=SeenNonces)

    async def answer(
        self, instance_id: str, kind: str, headers: Mapping[str, str], body: AsyncIterator[bytes]
    ) -> tuple[int, bytes]:
        """Returns the HTTP status and the body of the response.

        Reads nothing of *body* unless the head of the call is right.
        """
        call = head_of(f"/relay/{instance_id}/{kind}", headers)
        signature = headers.get("x-relay-signature", "")
        if call is None or not await self._is_right(call, signature):
            return self._refused(_FORBIDDEN, "head")
        if call.node_id != self.node_id or call.epoch != self.epoch_of(instance_id):
            return self._refused(_MOVED, "moved")
        if call.length > self.max_body_bytes:
            return self._refused(_TOO_LARGE, "length")
        if call.is_form_2 and not self._seen.add(call.nonce, self.database_seconds()):
            return self._refused(_FORBIDDEN, "repeated")
        content = await _read(body, call.length)
        if content is None or not self._is_body_of(call, signature, content):
            return self._refused(_FORBIDDEN, "body")
        return await self._execute(instance_id, kind, content)

    async def _is_right(self, call: CallHead, signature: str) -> bool:
        """Returns whether the head may be a node's; that of form 1 is signed with the body."""
        if abs(self.database_seconds() - call.at_seconds) >= MAX_AGE_SECONDS:
            return False
        if call.is_form_2:
            return call.is_signed(signature, self.secrets)
        return await self.accepts_earlier_form()

    def _is_body_of(self, call: CallHead, signature: str, content: bytes) -> bool:
        digest = digest_of(content)
        if call.is_form_2:
            return digest == call.digest
        return call.is_signed(signature, self.secrets, body_digest=digest)

    def _refused(self, status: int, reason: str) -> tuple[int, bytes]:
        self.metrics.relay_call_refused(reason)
        return status, b""

    async def _execute(self, instance_id: str, kind: str, content: bytes) -> tuple[int, bytes]:
        operation_type = _operations().get(kind)
        if operation_type is None:
            return _FAILED, b""  # a newer version has operations that this one does not know
        try:
            task = ReadOperation(content, operation_type)
            operation = await self.parser.run(task, owner=instance_id)
            result = await self.execute(instance_id, operation)
            return _EXECUTED, write_result(operation, result)
        except GatewayError as error:
            return _RAISED, json.dumps([type(error).__name__, str(error)]).encode()
        except Exception as error:  # noqa: BLE001 - the other node gets the failure
            report_error(error, component="relay", instance_id=instance_id, message_type=kind)
            return _FAILED, b""


async def _read(body: AsyncIterator[bytes], length: int) -> bytes | None:
    """Returns the body; None if it is longer than *length*."""
    content = bytearray()
    async for piece in body:
        content += piece
        if len(content) > length:
            return None
    return bytes(content)


@dataclass(frozen=True, slots=True)
class _Count:
    count: int


@dataclass(slots=True)
class EarlierReleases:
    """Knows whether a node of a release before 0.3.0 may still call; asks the database rarely.

    Such a node may call while it is alive in `nodes`, and in the first day after this release
    migrated the database: nodes without sessions are in no table.
    """

    database: Database
    clock: Clock
    _may_call: bool = False
    _asked_at: float = -math.inf

    async def may_call(self) -> bool:
        now = self.clock.monotonic_seconds()
        if now - self._asked_at >= _EARLIER_SECONDS:
            self._asked_at = now
            with suppress(DatabaseUnavailable):  # what was known stays
                found = await self.database.fetch_one(_Count, _EARLIER_CALLS_COUNT)
                self._may_call = found is not None and found.count > 0
        return self._may_call


def write_result(operation: Operation[Any], result: object) -> bytes:
    """Writes any result as JSON, a picture included."""
    return _results(type(operation)).dump_json(result, by_alias=True)


def read_result(operation: Operation[Result], content: bytes) -> Result:
    """Reads what `write_result` wrote.

    Raises:
        SessionUnavailable: this version cannot read it.
    """
    try:
        return cast("Result", _results(type(operation)).validate_json(content))
    except ValidationError:
        raise SessionUnavailable(
            "The node that has the session answers in a way that this version cannot read"
        ) from None


def error_of(content: bytes) -> GatewayError:
    """Makes the error that the session raised on the other node, from its name and text."""
    name, text = json.loads(content)
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, GatewayError)):
        return SessionUnavailable(text)
    # Its constructor would make the text from values that only the other node knows.
    return kind.__new__(kind, text)


@cache
def _results(operation_type: type[Operation[Any]]) -> TypeAdapter[Any]:
    return TypeAdapter(operation_type.result_type())


@cache
def _operations() -> Mapping[str, type[Operation[Any]]]:
    return {kind.__name__: kind for kind in _subclasses_of(Operation)}


def _subclasses_of(base: type[Operation[Any]]) -> Iterator[type[Operation[Any]]]:
    for kind in base.__subclasses__():
        yield kind
        yield from _subclasses_of(kind)
