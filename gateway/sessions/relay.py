"""Asks a session that another node holds, over that node's internal listener.

    here    who holds it?  ->  sign  ->  POST /relay/<instance>/<operation>
    there   is this for us, new, and from one of us?  ->  ask the session
    back    the answer, or the error by its name

Nodes know each other by GATEWAY_SECRET_KEY, which they share anyway to read tokens.
"""

import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
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

_FIND_HOLDER = query("sessions", "find_holder")

_WINDOW_SECONDS = 30.0
_CONNECT_SECONDS = 3.0
_TRIES = 2  # a lease may change hands while we ask
_PURPOSE = b"gateway relay"
_ANSWERED, _FORBIDDEN, _MOVED, _RAISED, _FAILED = 200, 403, 409, 422, 500
NOT_OPEN = "The session of this instance is not open right now"


class NotOpen(SessionUnavailable):
    """No node has the session open."""

    def __init__(self) -> None:
        super().__init__(NOT_OPEN)


@dataclass(frozen=True, slots=True)
class Call:
    """What is signed: a call to one node, of one moment, about one lease."""

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
class _Holder:
    node_id: str
    epoch: int
    internal_address: str | None
    database_seconds: float


class Relay:
    """The asking side."""

    def __init__(
        self, database: Database, http: httpx.AsyncClient, *, node_id: str, secret: str
    ) -> None:
        self._database, self._http = database, http
        self._node_id, self._secret = node_id, secret

    async def execute(self, instance_id: str, operation: Operation[Result]) -> Result:
        """The answer of the session, wherever it is.

        Raises:
            NotOpen: no other node holds it.
            SessionUnavailable: the node that holds it does not answer.
            GatewayError: what the session raised there.
        """
        for _ in range(_TRIES):
            holder = await self._database.fetch_one(_Holder, _FIND_HOLDER, instance_id=instance_id)
            if holder is None or holder.node_id == self._node_id or not holder.internal_address:
                break
            response = await self._post(holder, holder.internal_address, instance_id, operation)
            if response.status_code == _ANSWERED:
                return read_answer(operation, response.content)
            if response.status_code == _RAISED:
                raise error_of(response.content)
            logger.warning(
                "relay_refused",
                instance_id=instance_id,
                node_id=holder.node_id,
                status=response.status_code,
            )
            if response.status_code != _MOVED:
                raise SessionUnavailable("The node that holds the session did not answer it")
        raise NotOpen

    async def _post(
        self, holder: _Holder, address: str, instance_id: str, operation: Operation[Any]
    ) -> httpx.Response:
        path = f"/relay/{instance_id}/{type(operation).__name__}"
        body = operation.model_dump_json(exclude_unset=True).encode()
        call = Call(path, body, holder.node_id, holder.epoch, int(holder.database_seconds))
        try:
            return await self._http.post(
                address + path, content=body, headers=call.headers(self._secret)
            )
        except httpx.HTTPError as error:
            logger.warning(
                "relay_failed",
                instance_id=instance_id,
                node_id=holder.node_id,
                error=type(error).__name__,
            )
            raise SessionUnavailable(
                "The node that holds the session is out of reach right now"
            ) from None


def relay_client(*, timeout_seconds: float) -> httpx.AsyncClient:
    """Goes straight to the node, whatever proxy the environment names."""
    timeout = httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS)
    return httpx.AsyncClient(timeout=timeout, trust_env=False)


@dataclass(frozen=True, slots=True)
class RelayReceiver:
    """The answering side: what another node asks of a session that this one holds."""

    node_id: str
    secrets: Sequence[str]
    epoch_of: Callable[[str], int | None]
    database_seconds: Callable[[], float]
    execute: Callable[[str, Operation[Any]], Awaitable[object]]

    async def answer(
        self, instance_id: str, kind: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, bytes]:
        """An HTTP status and a body."""
        call = _call_of(f"/relay/{instance_id}/{kind}", headers, body)
        if call is None or not self._is_from_a_node(call, headers.get("x-relay-signature", "")):
            return _FORBIDDEN, b""
        if call.node_id != self.node_id or call.epoch != self.epoch_of(instance_id):
            return _MOVED, b""
        declared = _operations().get(kind)
        if declared is None:
            return _FAILED, b""  # of a newer version
        try:
            operation = declared.model_validate_json(body)
            answer = await self.execute(instance_id, operation)
            return _ANSWERED, write_answer(operation, answer)
        except GatewayError as error:
            return _RAISED, json.dumps([type(error).__name__, str(error)]).encode()
        except Exception as error:  # noqa: BLE001 - told to the other node as a failure
            report_error(error, component="relay", instance_id=instance_id, message_type=kind)
            return _FAILED, b""

    def _is_from_a_node(self, call: Call, signature: str) -> bool:
        age_seconds = self.database_seconds() - call.at_seconds
        return abs(age_seconds) < _WINDOW_SECONDS and call.is_signed(signature, self.secrets)


def _call_of(path: str, headers: Mapping[str, str], body: bytes) -> Call | None:
    try:
        return Call(
            path,
            body,
            headers["x-relay-node"],
            int(headers["x-relay-epoch"]),
            int(headers["x-relay-at"]),
        )
    except (KeyError, ValueError):
        return None


def write_answer(operation: Operation[Any], answer: object) -> bytes:
    """As JSON, whatever it is: a picture too."""
    return _results(type(operation)).dump_json(answer, by_alias=True)


def read_answer(operation: Operation[Result], content: bytes) -> Result:
    """What `write_answer` wrote.

    Raises:
        SessionUnavailable: another version wrote it.
    """
    try:
        return cast("Result", _results(type(operation)).validate_json(content))
    except ValidationError:
        raise SessionUnavailable(
            "The node that holds the session answers in a way this version cannot read"
        ) from None


def error_of(content: bytes) -> GatewayError:
    """What the session raised there."""
    name, text = json.loads(content)
    kind = getattr(errors, name, None)
    if not (isinstance(kind, type) and issubclass(kind, GatewayError)):
        return SessionUnavailable(text)
    # Its own constructor makes the text from what only the other node knows.
    return kind.__new__(kind, text)


@cache
def _results(declared: type[Operation[Any]]) -> TypeAdapter[Any]:
    return TypeAdapter(declared.result_type())


@cache
def _operations() -> Mapping[str, type[Operation[Any]]]:
    return {kind.__name__: kind for kind in _descendants(Operation)}


def _descendants(family: type[Operation[Any]]) -> Iterator[type[Operation[Any]]]:
    for kind in family.__subclasses__():
        yield kind
        yield from _descendants(kind)
