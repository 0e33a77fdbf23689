"""The settings of the provider: variables with its prefix."""

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
        description="sessions in one child process; more save memory, and break together",
    )
    starts_at_once: int = Field(
        4,
        ge=1,
        description="sessions that may start at the same time, each for about a second of "
        "processor time; the others wait",
    )
    keys: Literal["postgres", "file"] = Field(
        "postgres",
        description="where the keys of linked devices are: `postgres` lets a session move to "
        "another node, `file` (below the data directory) keeps it on this one",
    )
    database_connections: int = Field(
        4,
        ge=1,
        le=100,
        description="largest number of connections to Postgres that all sessions of a node share "
        "for their keys",
    )
    device_name: str = Field(
        "Gateway", min_length=1, description="what the phone shows among its linked devices"
    )
    probe_seconds: float = Field(
        20.0, gt=0, description="seconds between two probes of a connected session"
    )
    probe_timeout_seconds: float = Field(
        15.0, gt=0, description="seconds to answer a probe; after them the session is restarted"
    )
    restart_seconds: float = Field(
        1.0,
        gt=0,
        description="seconds before a child process that ended is started again; each pause "
        "doubles, up to a minute",
    )


def read_settings(environment: Mapping[str, str]) -> WhatsmeowSettings:
    """Returns the settings in *environment*; raises InvalidSettings."""
    return read_variables(WhatsmeowSettings, environment, prefix=PREFIX)
