"""What a caller wrote becomes the declared model, or one clear sentence about what is wrong."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from gateway.contract.send import OutgoingMessage
from gateway.contract.wire import Wire
from gateway.errors import InvalidRequest

Command = TypeVar("Command", bound=Wire)

_WHOLE_SENTENCES = frozenset({"invalid_phone"})
_COMPLAINTS = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "datetime_from_date_parsing": "must be a time with an offset, such as 2026-01-31T12:00:00Z",
    "datetime_parsing": "must be a time with an offset, such as 2026-01-31T12:00:00Z",
    "datetime_type": "must be a time with an offset, such as 2026-01-31T12:00:00Z",
    "dict_type": "must be an object",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "missing": "is required",
    "model_attributes_type": "must be an object",
    "model_type": "must be an object",
    "string_too_short": "must not be empty",
    "too_short": "must not be empty",
    "string_type": "must be a text",
    "timezone_aware": "must name its offset, such as 2026-01-31T12:00:00Z",
    "tuple_type": "must be a list",
}


def build(
    command: type[Command],
    body: object,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Command:
    """The command as its class declares it; the path wins over the body, the body over the query.

    Raises:
        InvalidRequest: the first thing that is wrong, in one sentence.
    """
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object")
    named = path or {}
    values = {**(query or {}), **body, **named, **{to_camel(n): v for n, v in named.items()}}
    for value in (*(query or {}).values(), *(path or {}).values()):
        if "\x00" in value:
            raise InvalidRequest("The address holds a NUL character")
    try:
        built = command.model_validate(values)
    except ValidationError as error:
        raise InvalidRequest(_sentence(error)) from None
    if isinstance(built, OutgoingMessage):
        for violation in built.limit_violations():
            raise InvalidRequest(violation)
    return built


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    if first["type"] in _WHOLE_SENTENCES:
        return first["msg"]
    # A field left out is named as in the class, one that is there as on the wire.
    field = ".".join(to_camel(str(part)) for part in first["loc"]) or "The body"
    if first["type"] == "string_too_long":
        return f"{field}: must be at most {first['ctx']['max_length']} characters"
    said = first["msg"].replace("Input should be", "must be")
    if first["type"] == "literal_error":
        said = said.replace("'", "")
    return f"{field}: {_COMPLAINTS.get(first['type'], said)}"


def holds_nul(value: object) -> bool:
    """Whether there is a character in it that Postgres cannot keep."""
    unread = [value]  # no recursion: callers decide how deep a body is
    while unread:
        item = unread.pop()
        if isinstance(item, str) and "\x00" in item:
            return True
        if isinstance(item, list):
            unread += item
        elif isinstance(item, dict):
            unread += item.keys()
            unread += item.values()
    return False
