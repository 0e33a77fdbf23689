"""The settings of the sandbox, under its own prefix."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
)
from pydantic_core import PydanticCustomError

from gateway.environment import read_variables

PREFIX = "GATEWAY_SANDBOX_"


def _parse_scale(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == "off" else value


class SandboxSettings(BaseModel):
    """The behaviour of the simulated WhatsApp."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    latency_min_seconds: float = Field(
        0.05,
        ge=0,
        allow_inf_nan=False,
        description="Minimum seconds WhatsApp takes to accept a message.",
    )
    latency_max_seconds: float = Field(
        0.2,
        ge=0,
        allow_inf_nan=False,
        description="Maximum seconds WhatsApp takes to accept a message.",
    )
    journal: bool = Field(
        default=True,
        description="Stores accepted messages; false accepts each at once and stores nothing: "
        "no latency, no fault, no receipt.",
    )
    receipts: Annotated[
        Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, BeforeValidator(_parse_scale)
    ] = Field(
        1.0,
        description="Factor of the delay of receipts: 1 is the pace of people, 0 is at once, `off` "
        "is never.",
    )
    answers: bool = Field(
        default=True,
        description="The reader of a poll, list, button or event answers; some react to pictures.",
    )

    @field_validator("latency_max_seconds")
    @classmethod
    def _max_is_not_below_min(cls, max_seconds: float, known: ValidationInfo) -> float:
        if max_seconds < known.data.get("latency_min_seconds", 0):
            raise PydanticCustomError("span", "must not be less than the minimum")
        return max_seconds


def read_settings(environment: Mapping[str, str]) -> SandboxSettings:
    """Reads the settings from *environment*; raises InvalidSettings."""
    return read_variables(SandboxSettings, environment, prefix=PREFIX)
