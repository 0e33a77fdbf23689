"""Reads the bodies of control routes and describes what is wrong with them."""

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from gateway.errors import BodyTooLarge, InvalidRequest, TooManyValues
from gateway.parsing.json_bounds import max_values_in, parse_json

_MAX_BYTES = 8_388_608
_MAX_VALUES = 2_000  # parsed and validated in about 5 ms
_MAX_VALUES_AND_COMMAS = 20_000

BodyModel = TypeVar("BodyModel", bound=BaseModel)


class ControlBody(BaseModel):
    """A body in camelCase that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


async def read_body(model: type[BodyModel], request: Request) -> BodyModel:
    """Reads a body on the event loop, so within narrower limits than the routes of the contract."""
    written = bytearray()
    async for piece in request.stream():
        written += piece
        if len(written) > _MAX_BYTES:
            raise BodyTooLarge(_MAX_BYTES)
    if max_values_in(written) > _MAX_VALUES_AND_COMMAS:
        raise TooManyValues(_MAX_VALUES)
    value = parse_json(bytes(written), max_values=_MAX_VALUES)
    if not isinstance(value, dict):
        raise InvalidRequest("The body must be a JSON object")
    return checked(model, value)


def checked(model: type[BodyModel], value: object) -> BodyModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidRequest(sentence(error)) from None


def sentence(error: ValidationError) -> str:
    """Returns the first error, such as `state: must be one of up, down, logged_out`."""
    first = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])
    match first["type"]:
        case "missing":
            return f"{field}: is missing"
        case "extra_forbidden":
            return f"{field}: is not known here"
        case "literal_error" | "enum":
            choices = first["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
            return f"{field}: must be one of {choices}"
        case "value_error":  # a check of our own: its sentence, without pydantic's words
            reason = str(first["ctx"]["error"])
            return f"{field}: {reason}" if field else reason
        case _:
            return f"{field}: {first['msg'].replace('Input should be', 'must be')}"
