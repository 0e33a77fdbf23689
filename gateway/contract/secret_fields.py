"""Fields of answers that only callers see who may manage: tokens, and URLs that may hold one."""

from dataclasses import dataclass
from typing import Final
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
        masked = {}
        for name, info in type(answer).model_fields.items():
            value = getattr(answer, name)
            mark = next((each for each in info.metadata if isinstance(each, SecretField)), None)
            shown = mark.masked(value) if mark else without_secrets(value)
            if shown is not value:
                masked[name] = shown
        return answer.model_copy(update=masked) if masked else answer
    if isinstance(answer, list | tuple):
        return type(answer)(map(without_secrets, answer))
    return answer


def origin_of(url: str) -> str:
    """Returns scheme and host of a URL: receivers expect their tokens in the rest of it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], "", "", ""))
