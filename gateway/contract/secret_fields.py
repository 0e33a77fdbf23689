"""Fields of answers that only callers see who may manage: tokens, and URLs that may hold one."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final, get_args
from urllib.parse import urlsplit, urlunsplit

from pydantic import BaseModel


@dataclass(frozen=True, slots=True)
class SecretField:
    """Marks a text of an answer; *is_url* says that scheme and host may be shown."""

    is_url: bool = False

    def masked(self, value: object) -> object:
        """Returns what is shown instead; the type stays the same, as typed clients need it."""
        if not isinstance(value, str):
            return value
        return origin_of(value) if self.is_url else ""


SECRET: Final = SecretField()
SECRET_URL: Final = SecretField(is_url=True)


def without_secrets(answer: object) -> object:
    """Returns an answer with its marked fields masked, however deep they are."""
    if isinstance(answer, BaseModel):
        fields = _fields_with_secrets(type(answer))
        shown = {name: _shown(mark, getattr(answer, name)) for name, mark in fields}
        return answer.model_copy(update=shown) if shown else answer
    if isinstance(answer, list | tuple):
        return type(answer)(map(without_secrets, answer))
    return answer


def _shown(mark: SecretField | None, value: object) -> object:
    return mark.masked(value) if mark else without_secrets(value)


@cache
def _fields_with_secrets(model: type[BaseModel]) -> tuple[tuple[str, SecretField | None], ...]:
    """Returns the fields that are marked, each with its mark, and those that hold such models.

    Most models have none, so that a long list of them costs no look at every field.
    """
    found = []
    for name, info in model.model_fields.items():
        mark = next((each for each in info.metadata if isinstance(each, SecretField)), None)
        if mark or any(map(_fields_with_secrets, _models_in(info.annotation))):
            found.append((name, mark))
    return tuple(found)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from _models_in(inner)


def origin_of(url: str) -> str:
    """Returns scheme and host of a URL: receivers expect their tokens in the rest of it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
