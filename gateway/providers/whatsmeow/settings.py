"""The provider's own variables, under its own prefix."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from gateway.environment import read_variables

PREFIX = "GATEWAY_WHATSMEOW_"


class WhatsmeowSettings(BaseModel):
    """How sessions of WhatsApp Web are run."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instances_per_process: int = Field(
        1,
        ge=1,
        le=100,
        description="sessions in one child process; more save memory, and fall together",
    )
    keys: Literal["postgres", "file"] = Field(
        "postgres",
        description="where the keys of linked devices are: `postgres` lets a session move to "
        "another node, `file` (below the data directory) spares two connections per instance",
    )
    device_name: str = Field(
        "Gateway", min_length=1, description="what the phone shows among its linked devices"
    )
    probe_seconds: float = Field(
        20.0, gt=0, description="how often a session that says it is connected has to prove it"
    )
    probe_timeout_seconds: float = Field(
        15.0, gt=0, description="a session that takes longer to answer is restarted"
    )
    restart_seconds: float = Field(
        1.0, gt=0, description="pause before a child that died is started again; it doubles"
    )


def read_settings(environment: Mapping[str, str]) -> WhatsmeowSettings:
    """The settings among *environment*; raises InvalidSettings."""
    return read_variables(WhatsmeowSettings, environment, prefix=PREFIX)
