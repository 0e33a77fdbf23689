"""Reads environment variables into the fields of a model."""

from collections.abc import Mapping
from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ValidationError

from gateway.errors import InvalidSettings

PREFIX = "GATEWAY_"
_WITHOUT_PREFIX = frozenset({"database_url"})

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
Optional = Annotated[str | None, BLANK_IS_ABSENT]


def read_variables(
    model: type[Model], environment: Mapping[str, str], *, prefix: str = PREFIX
) -> Model:
    """Reads the variables that begin with *prefix* into the fields of *model*.

    Raises:
        InvalidSettings: a name is unknown or a value is unusable; the text names it.
    """
    fields = {variable_name(field, prefix): field for field in model.model_fields}
    values = {
        fields.get(name, name): value
        for name, value in environment.items()
        if name in fields or name.startswith(prefix)
    }
    try:
        return model.model_validate(values)
    except ValidationError as error:
        # Each sentence once: pydantic reports a wrong network as IPv4 and as IPv6.
        sentences = dict.fromkeys(_sentence(e["loc"], e, prefix) for e in error.errors())
        raise InvalidSettings("; ".join(sentences)) from None


def variable_name(field: str, prefix: str = PREFIX) -> str:
    """Returns the environment variable of a field."""
    if prefix == PREFIX and field in _WITHOUT_PREFIX:
        return field.upper()
    return prefix + field.upper()


def _sentence(location: tuple[int | str, ...], error: Mapping[str, object], prefix: str) -> str:
    if not location:
        return str(error["msg"]).removeprefix("Value error, ")
    if error["type"] == "extra_forbidden":
        return f"{location[0]} is not a setting of this gateway"
    return f"{variable_name(str(location[0]), prefix)}: {_plain(error)}"


def _plain(error: Mapping[str, object]) -> str:
    """Returns pydantic's text in an operator's words."""
    if str(error["type"]).startswith("ip_"):
        return "must be networks such as 10.0.0.0/8, with commas between"
    text = str(error["msg"]).partition(", unable to")[0]
    return text.removeprefix("Value error, ").replace("Input should be", "must be")
