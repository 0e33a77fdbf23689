"""The sandbox's own variables, under its own prefix."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from gateway.errors import InvalidSettings

PREFIX = "GATEWAY_SANDBOX_"


def _parse_scale(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == "off" else value


class SandboxSettings(BaseModel):
    """How the simulated WhatsApp behaves.

    Attributes:
        latency_min_seconds: how long WhatsApp takes to accept, at least.
        latency_max_seconds: and at most.
        journal: False accepts at once and forgets: no latency, no fault, no receipt, no statement.
        receipts: 1 is the pace of people, 0 is at once, `off` is never.
        answers: whoever reads a poll, a button, a list or an event answers it, and some who see a
            picture react; False leaves everything unanswered.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_min_seconds: float = Field(default=0.05, ge=0, allow_inf_nan=False)
    latency_max_seconds: float = Field(default=0.2, ge=0, allow_inf_nan=False)
    journal: bool = True
    answers: bool = True
    receipts: Annotated[
        Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, BeforeValidator(_parse_scale)
    ] = 1.0

    @field_validator("latency_max_seconds")
    @classmethod
    def _at_least_the_least(cls, most: float, known: ValidationInfo) -> float:
        if most < known.data.get("latency_min_seconds", 0):
            raise PydanticCustomError("span", "must not be less than the minimum")
        return most


def read_settings(environment: Mapping[str, str]) -> SandboxSettings:
    """The settings among *environment*.

    Raises:
        InvalidSettings: one is malformed, or not known here.
    """
    found = {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environment.items()
        if name.startswith(PREFIX)
    }
    try:
        return SandboxSettings.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        name = f"{PREFIX}{str(first['loc'][0]).upper()}"
        if first["type"] == "extra_forbidden":
            known = ", ".join(f"{PREFIX}{field.upper()}" for field in SandboxSettings.model_fields)
            raise InvalidSettings(f"{name} is not a setting; there are {known}") from None
        raise InvalidSettings(f"{name}: {first['msg']}") from None
