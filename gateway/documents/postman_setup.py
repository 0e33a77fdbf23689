"""How a request of the Postman collection is prepared for a run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Precondition:
    """A request that is sent right before another one: its minimal example with *values*."""

    path: str
    values: Mapping[str, Any] = field(default_factory=dict)
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class PostmanSetup:
    """What a request needs from earlier requests, and what it saves for later ones.

    Variables of the collection are written `{{name}}`. `tomorrow` is always set, and each
    accepted message sets `zaapId` and `messageId`.

    Attributes:
        order: position within the folder of the subject; folders are ordered by their largest
            number. Requests that disconnect the instance have 100.
        first: requests that are sent right before this one.
        values: fields of the example that get another value in the collection, usually a
            variable; `instanceId` and `instanceToken` choose another instance.
        or_else: a second status that passes the check, where no earlier request can create
            what this one names.
        saves: names of variables, each with the path of its value in the answer, such as
            `content.0.id`.
    """

    order: int = 0
    first: tuple[Precondition, ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)
    saves: Mapping[str, str] = field(default_factory=dict)
    or_else: int | None = None
