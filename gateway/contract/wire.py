"""The spelling of bodies and answers on the wire, and the lenient reading of values."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    StringConstraints,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from gateway.contract.spellings import is_group, parse_chat

WHOLE_SENTENCE = "whole_sentence"
"""The type of an error whose text names its field itself."""


class Wire(BaseModel):
    """camelCase outside, snake_case inside; unknown keys are ignored, as Z-API does."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,  # an error may reach a log, its input must not
        defer_build=True,  # hundreds of validators would delay each start; a use builds its own
    )


def _is_none(value: object) -> bool:
    return value is None


OmitIfNone = Field(default=None, exclude_if=_is_none)
"""The default of a field whose key is left out of an answer where it has no value."""


class Incoming(Wire):
    """A body from a caller: null is the same as absent."""

    @model_validator(mode="before")
    @classmethod
    def _null_means_absent(cls, value: object) -> object:
        if isinstance(value, dict) and None in value.values():
            return {name: item for name, item in value.items() if item is not None}
        return value


@dataclass(frozen=True, slots=True)
class Matching:
    """Marks a text that must match a pattern; *requirement* says what it must be."""

    pattern: str
    requirement: str

    def __get_pydantic_core_schema__(
        self,
        source: Any,  # noqa: ANN401 - as pydantic calls it
        handler: GetCoreSchemaHandler,
    ) -> CoreSchema:
        pattern = re.compile(self.pattern, re.ASCII)

        def check(text: str) -> str:
            if not pattern.fullmatch(text):
                raise PydanticCustomError("pattern", self.requirement)
            return text

        return core_schema.no_info_after_validator_function(check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "pattern": self.pattern}


_MAX_DELAY_SECONDS = 15
MAX_EXPIRY_SECONDS = 180 * 86_400


def _parse_delay(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise PydanticCustomError("not_seconds", "must be a number of seconds")
    try:
        seconds = int(float(value))
    except (ValueError, OverflowError):
        raise PydanticCustomError("not_seconds", "must be a number of seconds") from None
    return min(seconds, _MAX_DELAY_SECONDS) if seconds > 0 else None


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("not_seconds", "must be a number of seconds")
    return value


def _only_phone(chat: str) -> str:
    if not chat.isdigit():
        raise PydanticCustomError("invalid_phone", "Invalid phone")
    return chat


def _only_person(chat: str) -> str:
    if not (chat.isdigit() or chat.endswith("@lid")):
        raise PydanticCustomError("invalid_phone", "Invalid phone")
    return chat


def _only_group(chat: str) -> str:
    if not is_group(chat):
        raise PydanticCustomError(
            "group_id", "must be a group id, such as 120363019502650977-group"
        )
    return chat


def _parse_community(value: object) -> object:
    """Cuts the endings that WhatsApp and our groups have."""
    if isinstance(value, str):
        return value.strip().lower().removesuffix("@g.us").removesuffix("-group")
    return value


Chat = Annotated[str, BeforeValidator(parse_chat)]
"""A person, group, channel, list or lid."""

Phone = Annotated[Chat, AfterValidator(_only_phone)]
"""A number."""

Person = Annotated[Chat, AfterValidator(_only_person)]
"""A number or lid."""

GroupId = Annotated[Chat, AfterValidator(_only_group)]

CommunityId = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    BeforeValidator(_parse_community),
    Matching(r"^[0-9]{5,25}$", "must be a community id, such as 120363186053925765"),
]

NewsletterId = Annotated[
    str,
    StringConstraints(strip_whitespace=True),
    Matching(
        r"^[0-9]{5,25}@newsletter$", "must be a channel id, such as 120363166555745933@newsletter"
    ),
]

DelaySeconds = Annotated[int | None, BeforeValidator(_parse_delay)]
"""Whole seconds, 1 to 15; 0 and below mean not set, more means 15."""

ExpirySeconds = Annotated[
    Annotated[int, Field(ge=1, le=MAX_EXPIRY_SECONDS)] | None, BeforeValidator(_no_boolean)
]
"""Whole seconds until a message expires."""

FutureTime = AwareDatetime
"""ISO 8601 with an offset."""
