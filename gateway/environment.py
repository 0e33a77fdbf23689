"""Reads environment variables into the fields of pydantic models."""

from collections.abc import Callable, Collection, Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from gateway.errors import InvalidSettings

PREFIX = "GATEWAY_"

Model = TypeVar("Model", bound=BaseModel)


def _blank_is_absent(value: object) -> object:
    return None if value == "" else value


def _split_list(value: object) -> object:
    return [v.strip() for v in value.split(",") if v.strip()] if isinstance(value, str) else value


def _split_pairs(value: object) -> object:
    if not isinstance(value, str):
        return value
    pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
    return {topic.strip(): account.strip() for topic, _, account in pairs}


BLANK_IS_ABSENT = BeforeValidator(_blank_is_absent)
SPLIT_LIST = BeforeValidator(_split_list)
SPLIT_PAIRS = BeforeValidator(_split_pairs)
OptionalText = Annotated[str | None, BLANK_IS_ABSENT]


def read_variables(
    model: type[Model], environment: Mapping[str, str], *, prefix: str = PREFIX
) -> Model:
    """Returns the variables that begin with *prefix* as the fields of *model*.

    Raises:
        InvalidSettings: a name is unknown or a value is invalid; says which.
    """
    fields = {variable_name(field, prefix): field for field in model.model_fields}
    values = {field: environment[name] for name, field in fields.items() if name in environment}
    unknown = _unknown_variables(environment, fields, prefix)
    return _validated(
        model, values, unknown, lambda loc: variable_name(str(loc[0]), prefix) if loc else None
    )


def read_sections(
    model: type[Model],
    environment: Mapping[str, str],
    sections: Mapping[str, Collection[str]],
    *,
    prefix: str = PREFIX,
) -> Model:
    """Returns the variables of each section as the fields of *model*, which are models themselves.

    Args:
        model: a model of sections, whose fields have their variable as validation alias.
        environment: usually `os.environ`.
        sections: the variables of each field of *model*.
        prefix: of all variables of the program; another one that begins with it is unknown.

    Raises:
        InvalidSettings: a name is unknown or a value is invalid; says which.
    """
    values = {
        section: {name: environment[name] for name in names if name in environment}
        for section, names in sections.items()
    }
    known = {name for names in sections.values() for name in names}
    unknown = _unknown_variables(environment, known, prefix)
    # A location is a section and a variable; a rule of a section or of the model names none.
    return _validated(model, values, unknown, lambda loc: str(loc[1]) if loc[1:] else None)


def variable_name(field: str, prefix: str) -> str:
    """Returns the environment variable of a field."""
    return prefix + field.upper()


Location = tuple[int | str, ...]


def _validated(
    model: type[Model],
    values: Mapping[str, object],
    unknown: list[str],
    variable_of: Callable[[Location], str | None],
) -> Model:
    problems, validated = unknown, None
    try:
        validated = model.model_validate(values)
    except ValidationError as error:
        problems = [*unknown, *(_sentence(variable_of(e["loc"]), e) for e in error.errors())]
    if validated is None or problems:
        # A list of networks is invalid as IPv4 and as IPv6: the same sentence twice.
        raise InvalidSettings("; ".join(dict.fromkeys(problems)))
    return validated


def _unknown_variables(
    environment: Mapping[str, str], known: Collection[str], prefix: str
) -> list[str]:
    return [
        f"{name} is not a setting of this gateway"
        for name in environment
        if name.startswith(prefix) and name not in known
    ]


def _sentence(variable: str | None, error: Mapping[str, object]) -> str:
    if variable is None:
        return str(error["msg"]).removeprefix("Value error, ")
    return f"{variable}: {_in_plain_words(error)}"


def _in_plain_words(error: Mapping[str, object]) -> str:
    """Returns pydantic's text as an operator would write it."""
    if str(error["type"]).startswith("ip_"):
        return "must be networks such as 10.0.0.0/8, with commas between"
    text = str(error["msg"]).partition(", unable to")[0]
    return text.removeprefix("Value error, ").replace("Input should be", "must be")
