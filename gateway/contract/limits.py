"""WhatsApp's limits on a message, each declared once by the class of the message.

A limit is checked where a request comes in, never where a stored message is read: a message
that was accepted before its limit was declared can still be sent.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.alias_generators import to_camel

_EACH = "[]"


@dataclass(frozen=True, slots=True)
class Limit:
    """A requirement on one field.

    Attributes:
        path: names of attributes, joined by dots; `[]` stands for each item of a list, as in
            `poll[].name`.
        requirement: what must hold, as the end of a sentence, such as
            `must be at most 25 characters`.
        holds: whether a value meets the requirement.
        whole: `holds` gets the message instead of the value at the path.
        bound: the largest or smallest number that `measure` may return.
        measure: what is counted, and shown in an error as what was given.
    """

    path: str
    requirement: str
    holds: Callable[[Any], bool]
    whole: bool = False
    bound: int | None = None
    measure: Callable[[Any], float] | None = None

    @property
    def wire_path(self) -> str:
        """The path as callers spell it."""
        return ".".join(to_camel(part) for part in self.path.split("."))

    def violations(self, message: BaseModel) -> Iterator[str]:
        """A sentence for each value that does not meet the requirement."""
        if not self.whole and self.path.isidentifier():  # most paths are the name of one field
            value = getattr(message, self.path)
            if value is None or self.holds(value):
                return
        values: Iterator[tuple[str, Any]] = (
            iter([(self.wire_path, message)])
            if self.whole
            else _values(message, self.path.split("."), "")
        )
        for place, value in values:
            if value is not None and not self.holds(value):
                given = f", not {self.measure(value):.15g}" if self.measure else ""
                yield f"{place}: {self.requirement}{given}"


def max_characters(path: str, count: int) -> Limit:
    return _at_most(path, f"must be at most {count} characters", count, len)


def max_items(path: str, count: int) -> Limit:
    return _at_most(path, f"must have at most {count} items", count, len)


def max_number(path: str, highest: int) -> Limit:
    return _at_most(path, f"must be at most {highest}", highest, float)


def min_items(path: str, count: int) -> Limit:
    return Limit(
        path,
        f"must have at least {count} items",
        lambda items: len(items) >= count,
        bound=count,
        measure=len,
    )


def _at_most(path: str, requirement: str, bound: int, measure: Callable[[Any], float]) -> Limit:
    return Limit(
        path, requirement, lambda value: measure(value) <= bound, bound=bound, measure=measure
    )


def distinct(path: str, attribute: str) -> Limit:
    """No two items of a list may have the same *attribute*."""

    def holds(items: tuple[Any, ...]) -> bool:
        return len({getattr(item, attribute) for item in items}) == len(items)

    return Limit(path, f"must have items that differ in {to_camel(attribute)}", holds)


def rule(path: str, requirement: str, holds: Callable[[Any], bool]) -> Limit:
    """A requirement that looks at the whole message; the field at *path* is to blame."""
    return Limit(path, requirement, holds, whole=True)


@cache
def _spelled(name: str) -> str:
    """Returns a field's name as callers spell it; each accepted message asks for some."""
    return to_camel(name)


def _values(value: Any, parts: list[str], place: str) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - a field may hold anything
    if not parts:
        yield place, value
        return
    name, each = parts[0].removesuffix(_EACH), parts[0].endswith(_EACH)
    inner = getattr(value, name)
    here = f"{place}.{_spelled(name)}" if place else _spelled(name)
    if not each:
        yield from _values(inner, parts[1:], here)
        return
    for position, item in enumerate(inner):
        yield from _values(item, parts[1:], f"{here}.{position}")
