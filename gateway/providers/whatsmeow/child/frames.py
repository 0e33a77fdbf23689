"""What the engine and a child say to each other: JSON behind its length, over one socket."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Protocol

import orjson

_LENGTH_BYTES = 4
_MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Ask:
    """A verb for the child to carry out for one instance."""

    number: int
    instance_id: str
    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """`failure` names the exception where there is no result."""

    number: int
    result: Any = None
    failure: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Tell:
    """Something happened to an instance; the library waits until it is acknowledged."""

    number: int
    instance_id: str
    name: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """What was told is safe."""

    number: int


@dataclass(frozen=True, slots=True)
class Deadline:
    """The child may act until then, on the machine's monotonic clock."""

    monotonic_seconds: float


Json = Any
"""What JSON can say."""

Frame = Ask | Answer | Tell | Acknowledge | Deadline
_KINDS: dict[str, type[Frame]] = {
    kind.__name__: kind for kind in (Ask, Answer, Tell, Acknowledge, Deadline)
}


class Reader(Protocol):
    """What a frame is read from."""

    async def readexactly(self, n: int, /) -> bytes: ...


def packed(frame: Frame) -> bytes:
    body = orjson.dumps([type(frame).__name__, frame])
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


async def read_frame(reader: Reader) -> Frame | None:
    """The next frame; None when the other side is gone."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        if length > _MAX_BYTES:
            raise ValueError(f"a frame of {length} bytes")
        kind, fields = orjson.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return _KINDS[kind](**fields)
