"""The protocol of engine and child: JSON frames `[kind, fields]`, each after its length."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, get_args

import orjson

_LENGTH_BYTES = 4
_MAX_BYTES = 32 * 1024 * 1024  # parsed on the event loop: children send less than a thousandth


@dataclass(frozen=True, slots=True)
class NodeCommand:
    """The engine has the child run a verb for one instance."""

    number: int
    instance_id: str
    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NodeReply:
    """The child answers the command of this number; `failure` names the error, if one rose."""

    number: int
    result: Any = None
    failure: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class NodeRequest:
    """A session of the child asks the engine: to `commit` keys and events, or to read `keys`."""

    number: int
    instance_id: str
    epoch: int
    what: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodeAnswer:
    """The engine answers the request of this number; `refusal` says why it does not do it."""

    number: int
    result: Any = None
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class NodeNotice:
    """A session of the child says how its connection is; nothing of it is stored."""

    instance_id: str
    name: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NodeDeadline:
    """The child may act until this time of the machine's monotonic clock; None has no end."""

    monotonic_seconds: float | None


Frame = NodeCommand | NodeReply | NodeRequest | NodeAnswer | NodeNotice | NodeDeadline
_PREFIX = "Node"
_KINDS: dict[str, type[Frame]] = {
    kind.__name__.removeprefix(_PREFIX): kind for kind in get_args(Frame)
}


def packed(frame: Frame) -> bytes:
    """Returns the frame as bytes."""
    body = orjson.dumps([type(frame).__name__.removeprefix(_PREFIX), frame])
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


async def read_frame(reader: asyncio.StreamReader) -> Frame | None:
    """Returns the next frame; None when the other side has closed."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        if length > _MAX_BYTES:
            raise ValueError(f"a frame of {length} bytes")
        kind, fields = orjson.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return _KINDS[kind](**fields)
