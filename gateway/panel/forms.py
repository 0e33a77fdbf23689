"""Reads the forms of pages."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

from gateway.errors import BodyTooLarge, InvalidRequest, UnsupportedContentType

FORM_LIMIT_BYTES: Final = 256_000
_MAX_FIELDS = 2_000
_DECIMAL = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,6})?", re.ASCII)
_FORM_TYPE: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of a form; one that was not sent is an empty text."""

    fields: Mapping[str, list[str]]

    def text(self, name: str) -> str:
        """Returns the text of a field without the blanks around it."""
        return self.raw(name).strip()

    def raw(self, name: str) -> str:
        """Returns the text of a field as it was typed: passwords may end in a blank."""
        return self.fields.get(name, [""])[-1]

    def all(self, name: str) -> list[str]:
        """Returns every value of a field that may be chosen more than once."""
        return self.fields.get(name, [])

    def is_checked(self, name: str) -> bool:
        return name in self.fields

    def number(self, name: str) -> int | None:
        """Returns the whole number of a field; None where it is empty.

        Raises:
            InvalidRequest: it is no number.
        """
        text = self.text(name)
        if not text:
            return None
        if not (text.isascii() and text.removeprefix("-").isdigit()) or len(text) > len(
            "-1000000000"
        ):
            raise InvalidRequest(f"{name}: must be a whole number")
        return int(text)

    def decimal(self, name: str) -> float | None:
        """Returns the number of a field, written with a point or a comma; None where it is empty.

        Raises:
            InvalidRequest: it is no number.
        """
        text = self.text(name).replace(",", ".")
        if not text:
            return None
        if not _DECIMAL.fullmatch(text):
            raise InvalidRequest(f"{name}: must be a number")
        return float(text)

    def require_typed(self, name: str, expected: str) -> None:
        """Raises InvalidRequest unless the person typed the name of what is deleted."""
        if self.text(name) != expected.strip():
            raise InvalidRequest("The name that you typed is another one: nothing was changed")


async def read_form(request: Request, *, limit_bytes: int = FORM_LIMIT_BYTES) -> Form:
    """Returns the form of a request.

    Raises:
        UnsupportedContentType: it is no form.
        BodyTooLarge: it is larger than *limit_bytes*.
        InvalidRequest: it cannot be read.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in {_FORM_TYPE, ""}:
        raise UnsupportedContentType(f"Content-Type must be {_FORM_TYPE}")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit_bytes:
            raise BodyTooLarge(limit_bytes)
    try:
        fields = parse_qs(
            body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(body),
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError:
        raise InvalidRequest("The form cannot be read") from None
    # No browser lets a person type a NUL, and Postgres stores none.
    if any("\0" in value for values in fields.values() for value in values):
        raise InvalidRequest("The form cannot be read")
    return Form(fields)


def problem_beside(error: InvalidRequest) -> dict[str, str]:
    """Returns the text of an error by the field that it names, as templates show it beside it."""
    field, colon, text = str(error).partition(": ")
    return {field: text[:1].upper() + text[1:]} if colon and field.isidentifier() else {}
