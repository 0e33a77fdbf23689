"""Executes an operation on a session of another node, over that node's internal listener.

    this node    find the owner of the lease  ->  sign  ->  POST /relay/<instance>/<operation>
    other node   check signature, age, node and epoch  ->  execute it on the session
    back         the result, or the error by its name

Nodes trust each other by a key that is derived from GATEWAY_SECRET_KEY, which all nodes share.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar, cast

import httpx
from pydantic import TypeAdapter, ValidationError

from gateway import errors
from gateway.contract.operation import Operation
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import GatewayError, SessionUnavailable
from gateway.observability.error_reports import report_error
from gateway.observability.logging import logger

Result = TypeVar("Result")

_FIND_LEASE_OWNER = query("sessions", "find_lease_owner")

_MAX_AGE_SECONDS = 30.0
_CONNECT_SECONDS = 3.0
_MAX_ATTEMPTS = 2  # the lease may change its owner during the call
_PURPOSE = b"gateway relay"
_EXECUTED, _FORBIDDEN, _MOVED, _RAISED, _FAILED = 200, 403, 409, 422, 500
NOT_OPEN = "The session of this instance is not open right now"


class NotOpen(SessionUnavailable):
    """No node has the session open."""

    def __init__(self) -> None:
        super().__init__(NOT_OPEN)


@dataclass(frozen=True, slots=True)
class RelayCall:
    """The signed part of a call: to one node, about one epoch of a lease, at one time."""

    path: str
    body: bytes
    node_id: str
    epoch: int
    at_seconds: int

    def headers(self, secret: str) -> dict[str, str]:
        return {
            "X-Relay-Node": self.node_id,
            "X-Relay-Epoch": str(self.epoch),
            "X-Relay-At": str(self.at_seconds),
            "X-Relay-Signature": self.signature(secret),
        }

    def signature(self, secret: str) -> str:
        key = hmac.digest(secret.encode(), _PURPOSE, "sha256")
        signed = "\n".join(
            (
                "POST",
                self.path,
                self.node_id,
                str(self.epoch),
                str(self.at_seconds),
                hashlib.sha256(self.body).hexdigest(),
            )
        )
        return hmac.new(key, signed.encode(), "sha256").hexdigest()

    def is_signed(self, signature: str, secrets: Sequence[str]) -> bool:
        return any(
            hmac.compare_digest(signature.encode(), self.signature(secret).encode())
            for secret in secrets
        )


@dataclass(frozen=True, slots=True)
class _LeaseOwner:
    node_id: str
    epoch: int
    internal_address: str | None
    database_seconds: float


class Relay:
    """The calling side."""

    def __init__(
        self, database: Database, http: httpx.AsyncClient, *, node_id: str, secret: str
    ) -> None:
        self._database, self._http = database, http
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
        call = RelayCall(path, body, owner.node_id, owner.epoch, int(owner.database_seconds))
        try:
            return await self._http.post(
                address + path, content=body, headers=call.headers(self._secret)
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


@dataclass(frozen=True, slots=True)
class RelayReceiver:
    """The answering side: executes calls of other nodes on the sessions of this node.

    `epoch_of` returns the epoch of an instance's lease, if this node owns it. `secrets` are the
    current secret and the earlier ones.
    """

    node_id: str
    secrets: Sequence[str]
    epoch_of: Callable[[str], int | None]
    database_seconds: Callable[[], float]
    execute: Callable[[str, Operation[Any]], Awaitable[object]]

    async def answer(
        self, instance_id: str, kind: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """Returns the HTTP status and the body of the response."""
        call = _call_of(f"/relay/{instance_id}/{kind}", headers, body)
        if call is None or not self._is_from_a_node(call, headers.get("x-relay-signature", "")):
            return _FORBIDDEN, b""
        if call.node_id != self.node_id or call.epoch != self.epoch_of(instance_id):
            return _MOVED, b""
        operation_type = _operations().get(kind)
        if operation_type is None:
            return _FAILED, b""  # a newer version has operations that this one does not know
        try:
            operation = operation_type.model_validate_json(body)
            result = await self.execute(instance_id, operation)
            return _EXECUTED, write_result(operation, result)
        except GatewayError as error:
            return _RAISED, json.dumps([type(error).__name__, str(error)]).encode()
        except Exception as error:  # noqa: BLE001 - the other node gets the failure
            report_error(error, component="relay", instance_id=instance_id, message_type=kind)
            return _FAILED, b""

    def _is_from_a_node(self, call: RelayCall, signature: str) -> bool:
        age_seconds = self.database_seconds() - call.at_seconds
        return abs(age_seconds) < _MAX_AGE_SECONDS and call.is_signed(signature, self.secrets)


def _call_of(path: str, headers: Mapping[str, str], body: bytes) -> RelayCall | None:
    try:
        return RelayCall(
            path,
            body,
            headers["x-relay-node"],
            int(headers["x-relay-epoch"]),
            int(headers["x-relay-at"]),
        )
    except (KeyError, ValueError):
        return None


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
