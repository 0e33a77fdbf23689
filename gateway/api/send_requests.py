"""What requests that send have in common: the message, the idempotency key, the wait."""

import hashlib
import re
from dataclasses import dataclass
from typing import TypeVar

from starlette.requests import Request

from gateway.api.body_spooling import BodySpooler
from gateway.api.headers import header_of
from gateway.api.routes import MatchedRoute
from gateway.contract.send import OutgoingMessage
from gateway.errors import InvalidRequest
from gateway.instances.store import Instance
from gateway.send_queue.enqueue_request import IdempotencyKey

_MAX_KEY_LENGTH = 255
_WAIT = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?([0-9]{1,6})\b", re.IGNORECASE)
_MAX_WAIT_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Draft:
    """A message as its request describes it, and the instance that shall send it."""

    instance: Instance
    message: OutgoingMessage


DraftT = TypeVar("DraftT", bound=Draft)


def check_texts(message: OutgoingMessage, spooler: BodySpooler) -> None:
    """Raises InvalidRequest for a text so long that it was spooled like a file."""
    if not spooler.files or not spooler.has_placeholder_in(message.model_dump_json()):
        return
    for field, value in message.model_dump(by_alias=True, mode="json").items():
        if spooler.has_placeholder_in(str(value)):
            raise InvalidRequest(f"{field}: is too long for a text; shorten it")


def idempotency_of(
    key: str | None, route: MatchedRoute, fingerprint: bytes
) -> IdempotencyKey | None:
    """Returns the key of a request, bound to its route and body; None without one."""
    if not key:
        return None
    if len(key) > _MAX_KEY_LENGTH:
        raise InvalidRequest(f"Idempotency-Key: must be at most {_MAX_KEY_LENGTH} characters")
    digest = hashlib.sha256(route.template.encode() + b"\n" + fingerprint)
    return IdempotencyKey(key, digest.digest())


def seconds_to_wait(request: Request) -> int:
    """Returns the seconds of `Prefer: wait=20`; ignores a preference it cannot read (RFC 7240)."""
    found = _WAIT.search(header_of(request.headers, b"prefer"))
    return min(int(found[1]), _MAX_WAIT_SECONDS) if found else 0
