"""The protocol of engine and child: JSON frames, each after its length, on one socket."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import orjson

_LENGTH_BYTES = 4
_MAX_BYTES = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Command:
    """The engine has the child run a verb for one instance."""

    number: int
    instance_id: str
    verb: str
    arguments: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CommandReply:
    """The child answers the command of this number; `failure` names the exception, if one rose."""

    number: int
    result: Any = None
    failure: str | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class LibraryEvent:
    """The library reports an event of an instance, and waits until it is acknowledged.

    `releases`: with it, everything of the message that was being decrypted is reported.
    """

    number: int
    instance_id: str
    name: str
    body: dict[str, Any]
    releases: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The engine has stored the event of this number."""

    number: int


@dataclass(frozen=True, slots=True)
class Deadline:
    """The child may act until this time of the machine's monotonic clock; None has no end."""

    monotonic_seconds: float | None


@dataclass(frozen=True, slots=True)
class SuspensionPhase:
    """How far the child has suspended itself, because its deadline is near.

    From "begun" on it takes no command. From "complete" on it has no connection, and no reply to an
    earlier command will come. When it is "over", clients have to be opened again.
    """

    phase: Literal["begun", "complete", "over"]


Json = Any
"""A value that JSON can express."""

Frame = Command | CommandReply | LibraryEvent | Acknowledge | Deadline | SuspensionPhase
_KINDS: dict[str, type[Frame]] = {kind.__name__: kind for kind in get_args(Frame)}


class ByteReader(Protocol):
    """The end of a stream that frames are read from."""

    async def readexactly(self, n: int, /) -> bytes: ...


def packed(frame: Frame) -> bytes:
    """Returns the frame as bytes."""
    body = orjson.dumps([type(frame).__name__, frame])
    return len(body).to_bytes(_LENGTH_BYTES, "big") + body


async def read_frame(reader: ByteReader) -> Frame | None:
    """Returns the next frame; None when the other side has closed."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH_BYTES), "big")
        if length > _MAX_BYTES:
            raise ValueError(f"a frame of {length} bytes")
        kind, fields = orjson.loads(await reader.readexactly(length))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    return _KINDS[kind](**fields)
