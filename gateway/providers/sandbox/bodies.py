"""Reads the bodies of control routes and describes what is wrong with them."""

import json
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel
from starlette.requests import Request

from gateway.errors import InvalidRequest

BodyModel = TypeVar("BodyModel", bound=BaseModel)


class ControlBody(BaseModel):
    """A body in camelCase that refuses unknown fields."""

    model_config = ConfigDict(extra="forbid", alias_generator=to_camel, populate_by_name=True)


async def read_body(model: type[BodyModel], request: Request) -> BodyModel:
    written = await request.body()
    if b"\\u0000" in written:
        raise InvalidRequest("The body holds a NUL character, which Postgres cannot store")
    try:
        value = json.loads(written or b"{}")
    except ValueError:
        raise InvalidRequest("The body is not JSON") from None
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
        case _:
            return f"{field}: {first['msg'].replace('Input should be', 'must be')}"
