"""The development settings that a gateway writes into its data directory for the other commands.

`make run` sets GATEWAY_ENV=development for `gateway serve` alone. The commands that an operator
types beside it read the file, so they use the same database and secret.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from gateway.errors import InvalidSettings
from gateway.runtime.data_dir import data_dir_errors_named
from gateway.runtime.secret import write_private
from gateway.settings import Settings

FILE_NAME = "development.json"
_DECIDING_VARIABLES = frozenset(
    {"GATEWAY_ENV", "DATABASE_URL", "GATEWAY_DIRECT_DATABASE_URL", "GATEWAY_SECRET_KEY"}
)
_VARIABLES = _DECIDING_VARIABLES | {"GATEWAY_PROVIDER"}
_DATA_DIR = "GATEWAY_DATA_DIR"


def write_development_settings(settings: Settings) -> None:
    """Writes the settings of this gateway, or in production removes the file of an earlier one.

    Raises:
        StartRefused: the data directory cannot be written to.
    """
    data_dir = settings.storage.data_dir
    file = data_dir / FILE_NAME
    with data_dir_errors_named(data_dir):
        if not settings.is_development:
            file.unlink(missing_ok=True)
            return
        values = {
            "GATEWAY_ENV": settings.process.env,
            "DATABASE_URL": settings.database.url,
            "GATEWAY_DIRECT_DATABASE_URL": settings.database.direct_url,
            "GATEWAY_SECRET_KEY": settings.storage.secret_key,
            "GATEWAY_PROVIDER": settings.instances.provider,
        }
        set_values = {name: value for name, value in values.items() if value}
        write_private(file, json.dumps(set_values, indent=2) + "\n")


def with_development_settings(environment: Mapping[str, str]) -> tuple[dict[str, str], Path | None]:
    """Returns the environment with the settings of the file added, and the path of the file.

    Where the environment contradicts the file, it is returned unchanged, with None: settings of
    production, or of another database, never mix with the file's.

    Raises:
        InvalidSettings: the file cannot be read.
    """
    default = Settings.defaults()[_DATA_DIR]
    file = Path(environment.get(_DATA_DIR) or str(default)) / FILE_NAME
    try:
        text = file.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return dict(environment), None
    except OSError as error:
        if environment.get("GATEWAY_ENV") == "production":
            return dict(environment), None
        raise InvalidSettings(
            f"{file}: {error.strerror}; run this as the user who runs the gateway"
        ) from None
    stored = _parse(file, text)
    given = {name: value for name, value in environment.items() if value}
    if any(given.get(name, stored.get(name)) != stored.get(name) for name in _DECIDING_VARIABLES):
        return dict(environment), None
    return {**environment, **stored, **given}, file


def _parse(file: Path, text: str) -> dict[str, str]:
    try:
        stored = json.loads(text)
    except json.JSONDecodeError:
        stored = None
    if not isinstance(stored, dict):
        raise InvalidSettings(f"{file}: is not JSON; remove it and start the gateway again")
    return {name: str(value) for name, value in stored.items() if name in _VARIABLES}
