"""How a request takes its turn when the Postman collection runs against the demo instance."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Precondition:
    """A declared request sent beforehand: its smallest example, with these values in it."""

    path: str
    values: Mapping[str, Any] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class PostmanSetup:
    """What a request needs from those before it, and leaves for those after it.

    The variables of the collection are written `{{name}}`. `tomorrow` is always there, and every
    accepted message leaves `zaapId` and `messageId`.

    Attributes:
        order: later ones have larger numbers, within their room and among the rooms; what
            breaks the connection comes last, with 100.
        first: requests sent right before this one.
        values: fields of the example that the collection fills differently, usually with a
            variable; the instance too, as `instanceId` and `instanceToken`.
        or_else: the status that is as right, where what the request names cannot be made by
            those before it.
        saves: names of new variables, and where in the answer they are, such as `content.0.id`.
    """

    order: int = 0
    first: tuple[Precondition, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    saves: Mapping[str, str] = field(default_factory=dict)
    or_else: int | None = None
