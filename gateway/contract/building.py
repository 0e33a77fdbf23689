"""Builds the declared model from a request, or says in one sentence what is wrong with it."""

import difflib
from collections.abc import Collection, Iterator, Mapping
from typing import Any, TypeVar, get_args

from pydantic import AliasChoices, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_core.core_schema import ErrorType

from gateway.contract.operation import Operation
from gateway.contract.send import OutgoingMessage
from gateway.contract.wire import WHOLE_SENTENCE, Wire
from gateway.errors import InvalidRequest

Command = TypeVar("Command", bound=Wire)

_INVALID_PHONE = "invalid_phone"
_MAX_SHOWN = 40
_NO_OBJECT = "The body must be a JSON object"
_NO_BODY: tuple[object, ...] = (None, "", [])
"""What PHP and SDKs send where there is no body."""
_BOOLEAN = "must be true or false"
_NUMBER, _WHOLE_NUMBER = "must be a number", "must be a whole number"
_OBJECT = "must be an object"
_TIME = "must be a time with an offset, such as 2026-01-31T12:00:00Z"
_REQUIREMENTS = {
    "bool_parsing": _BOOLEAN,
    "bool_type": _BOOLEAN,
    "datetime_from_date_parsing": _TIME,
    "datetime_parsing": _TIME,
    "datetime_type": _TIME,
    "dict_type": _OBJECT,
    "finite_number": _NUMBER,
    "float_parsing": _NUMBER,
    "float_type": _NUMBER,
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": _WHOLE_NUMBER,
    "int_parsing": _WHOLE_NUMBER,
    "int_parsing_size": "must be a smaller number",
    "int_type": _WHOLE_NUMBER,
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "missing": "is required",
    "model_attributes_type": _OBJECT,
    "model_type": _OBJECT,
    "string_too_long": "must be at most {max_length} characters",
    "string_too_short": "must be at least {min_length} characters",
    "string_type": "must be a text",
    "timezone_aware": "must name its offset, such as 2026-01-31T12:00:00Z",
    "too_long": "must have at most {max_length} items",
    "too_short": "must have at least {min_length} items",
    "tuple_type": "must be a list",
    "uuid_parsing": "must be an id such as 0b6f6c1e-4f43-4d8e-9a55-0d6c2f5b7a10",
    "uuid_type": "must be an id such as 0b6f6c1e-4f43-4d8e-9a55-0d6c2f5b7a10",
}
_LENGTHS = frozenset({"string_too_long", "string_too_short", "too_long", "too_short"})
_SIMPLE_TYPES = frozenset({"bool", "float", "int", "str"})
_OTHER_REQUIREMENT = "has a value that cannot be read"
_PYDANTIC_TYPES = frozenset(get_args(ErrorType))


def build(
    command: type[Command],
    body: object,
    *,
    path: Mapping[str, str] | None = None,
    query: Mapping[str, str] | None = None,
) -> Command:
    """The command as its class declares it; the path wins over the body, the body over the query.

    Raises:
        InvalidRequest: names the first wrong field and what it must be, or the first of
            WhatsApp's limits that a message exceeds.
    """
    fields = {} if body in _NO_BODY else body
    if not isinstance(fields, dict):
        raise InvalidRequest(_NO_OBJECT)
    values = _values(fields, path or {}, query or {})
    if issubclass(command, Operation) and command.is_strict():
        _refuse_unknown(command, values)
    try:
        built = _validated(command, values)
    except InvalidRequest:
        if body in _NO_BODY:  # the command needs one
            raise InvalidRequest(_NO_OBJECT) from None
        raise
    if isinstance(built, OutgoingMessage):
        for violation in built.limit_violations():
            raise InvalidRequest(violation)
    return built


def _values(
    fields: Mapping[str, Any], path: Mapping[str, str], query: Mapping[str, str]
) -> dict[str, Any]:
    for value in (*query.values(), *path.values()):
        if "\x00" in value:
            raise InvalidRequest("The address holds a NUL character")
    return {**query, **fields, **path, **{to_camel(n): v for n, v in path.items()}}


def _refuse_unknown(command: type[Wire], values: Mapping[str, Any]) -> None:
    names = {name: None for field in command.model_fields.items() for name in _names_of(*field)}
    for given in values:
        if given in names:
            continue
        spelled = sorted({to_camel(name) for name in names})
        near = difflib.get_close_matches(given, spelled, n=1)
        cure = f"did you mean {near[0]}?" if near else f"there are {', '.join(spelled) or 'none'}"
        raise InvalidRequest(f"{given[:_MAX_SHOWN]}: is not a field of this request; {cure}")


def _names_of(name: str, field: FieldInfo) -> Iterator[str]:
    """Yields every name under which a request may give the field."""
    yield name
    yield from filter(None, (field.alias,))
    if isinstance(field.validation_alias, AliasChoices):
        yield from (str(choice) for choice in field.validation_alias.choices)
    elif isinstance(field.validation_alias, str):
        yield field.validation_alias


def _validated(command: type[Command], values: dict[str, Any]) -> Command:
    """Returns the command; an empty text is the same as absent where it cannot be a value.

    Forms and n8n send every field, most of them empty.
    """
    removed: set[tuple[int | str, ...]] = set()
    first: ValidationError | None = None
    while True:
        try:
            return command.model_validate(values)
        except ValidationError as error:
            first = first or error
            empty = {_place_of(each) for each in error.errors() if _is_empty_text(each["input"])}
            if not empty - removed:
                # What is required and empty is reported as given, not as left out.
                (reported, *_) = error.errors()
                is_left_out = reported["type"] == "missing" and _place_of(reported) in removed
                raise InvalidRequest(_sentence(first if is_left_out else error)) from None
            removed |= empty
            values = _without(values, empty)


def _place_of(error: ErrorDetails) -> tuple[int | str, ...]:
    """Returns where the value is, without the member of a union that was tried."""
    return tuple(part for part in error["loc"] if not _is_union_member(part))


def _is_empty_text(value: object) -> bool:
    return isinstance(value, str) and not value.strip()


def _without(values: Any, places: Collection[tuple[int | str, ...]]) -> Any:  # noqa: ANN401 - JSON
    """Returns a copy of *values* in which nothing is left at these places."""
    if isinstance(values, dict):
        others = {name: _without(item, _below(name, places)) for name, item in values.items()}
        return {name: item for name, item in others.items() if (name,) not in places}
    if isinstance(values, list):
        other_items = (_without(item, _below(n, places)) for n, item in enumerate(values))
        return [item for n, item in enumerate(other_items) if (n,) not in places]
    return values


def _below(
    part: int | str, places: Collection[tuple[int | str, ...]]
) -> set[tuple[int | str, ...]]:
    """Returns the places below *part*, without the members of unions that pydantic names."""
    rests = (place[1:] for place in places if place[:1] == (part,))
    return {tuple(each for each in rest if not _is_union_member(each)) for rest in rests}


def _sentence(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    if first["type"] == WHOLE_SENTENCE:
        return first["msg"]
    if first["type"] == _INVALID_PHONE:
        return _invalid_phone(first)
    # A field left out is named as in the class, one that is there as on the wire.
    named = (part for part in first["loc"] if not _is_union_member(part))
    field = ".".join(to_camel(str(part)) for part in named) or "The body"
    return f"{field}: {_requirement(first)}"


def _invalid_phone(error: ErrorDetails) -> str:
    """Z-API's words; in a list also which one it is."""
    if not any(isinstance(part, int) for part in error["loc"]):
        return error["msg"]
    place = ".".join(to_camel(str(part)) for part in error["loc"] if not _is_union_member(part))
    return f"{place}: must be a phone, such as 5511999999999 ({error['msg']})"


def _is_union_member(part: int | str) -> bool:
    """Pydantic names the member of a union that it tried, such as `function-after[...]`."""
    return isinstance(part, str) and (not part.isidentifier() or part in _SIMPLE_TYPES)


def _requirement(error: ErrorDetails) -> str:
    """What the value must be; pydantic's own wording never reaches a caller."""
    kind, context = error["type"], error.get("ctx", {})
    if context.get("min_length") == 1:
        return "must not be empty"
    if kind in _REQUIREMENTS:
        shown = {name: _shown(value) for name, value in context.items()}
        return _REQUIREMENTS[kind].format(**shown) + _given(error)
    return _OTHER_REQUIREMENT if kind in _PYDANTIC_TYPES else error["msg"]


def _given(error: ErrorDetails) -> str:
    """Returns how long the value is, where a limit on that is exceeded."""
    value = error["input"]
    if error["type"] not in _LENGTHS or not isinstance(value, str | list | tuple):
        return ""
    return f", not {len(value)}"


def _shown(value: object) -> object:
    """Words without quotation marks, 5.0 as 5."""
    if isinstance(value, str):
        return value.replace("'", "")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def holds_nul(value: object) -> bool:
    """Whether a text in *value* contains NUL, which Postgres cannot store."""
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
