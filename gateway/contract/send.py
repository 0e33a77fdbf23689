"""Declaring a message: a class with a path. Nothing else is needed."""

from collections.abc import Iterator
from enum import IntEnum
from typing import Annotated, ClassVar

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from gateway.contract.wire import Chat, DelaySeconds, FutureTime, Incoming, Wire

STORED_VERSION = 1
"""Version of the stored form of every message; raised only when old code cannot read it."""


class Priority(IntEnum):
    """The three lanes of a line, served 4:2:1 while all have work."""

    HIGH = 0
    NORMAL = 1
    BULK = 2


def _parse_priority(value: object) -> object:
    if isinstance(value, str) and value.upper() in Priority.__members__:
        return Priority[value.upper()]
    if isinstance(value, int) and not isinstance(value, bool) and value in set(Priority):
        return Priority(value)  # the stored form
    raise PydanticCustomError("priority", "must be high, normal or bulk")


class Send(Incoming):
    """One outgoing message. Subclasses with a path become routes; those without are families."""

    path: ClassVar[str | None] = None
    carries_media: ClassVar[bool] = False
    """A body with a file in it may be large."""

    phone: Chat
    delay_message: DelaySeconds = None
    delay_typing: DelaySeconds = None
    scheduled_for: FutureTime | None = None
    priority: Annotated[Priority, BeforeValidator(_parse_priority)] = Priority.NORMAL

    def __init_subclass__(cls, *, path: str | None = None) -> None:
        super().__init_subclass__()
        cls.path = path

    @classmethod
    def kind(cls) -> str:
        """The stable name under which a queued row remembers its type, such as `send-text`."""
        assert cls.path is not None
        return cls.path.lstrip("/").partition("/")[0]

    def readable_text(self) -> str | None:
        """What a person would read of it in a list: its text or caption."""
        return None

    def referred_ids(self) -> tuple[str, ...]:
        """Ids of the earlier messages this one speaks of."""
        return ()


class Queued(Wire):
    """The answer to every accepted message."""

    zaap_id: str
    message_id: str
    id: str
    scheduled_for: FutureTime | None = None


def declared_sends(family: type[Send] = Send) -> Iterator[type[Send]]:
    """Every message type with a path, however deep its family."""
    for subclass in family.__subclasses__():
        if subclass.path is not None:
            yield subclass
        yield from declared_sends(subclass)
