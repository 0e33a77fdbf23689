"""The development settings that a gateway leaves in its data directory for the other commands.

`make run` sets GATEWAY_ENV=development for `gateway serve` alone. The commands that are typed
beside it find here how it was started, so that they use the same database and secret.
"""

import json
from collections.abc import Mapping
from pathlib import Path

from gateway.environment import variable_name
from gateway.errors import InvalidSettings
from gateway.runtime.data_dir import data_dir_errors_named
from gateway.runtime.secret import write_private
from gateway.settings import Settings

FILE_NAME = "development.json"
_DECIDING_FIELDS = ("env", "database_url", "direct_database_url", "secret_key")
_FIELDS = (*_DECIDING_FIELDS, "provider")
_VARIABLES = frozenset(map(variable_name, _FIELDS))
_DECIDING_VARIABLES = frozenset(map(variable_name, _DECIDING_FIELDS))
_DATA_DIR = "GATEWAY_DATA_DIR"


def leave_development_settings(settings: Settings) -> None:
    """Writes how this gateway was started, or in production removes what an earlier one left.

    Raises:
        StartRefused: the data directory cannot be written to.
    """
    file = settings.data_dir / FILE_NAME
    with data_dir_errors_named(settings.data_dir):
        if settings.env == "production":
            file.unlink(missing_ok=True)
            return
        given = {variable_name(name): getattr(settings, name) for name in _FIELDS}
        known = {name: value for name, value in given.items() if value}
        write_private(file, json.dumps(known, indent=2) + "\n")


def with_development_settings(environment: Mapping[str, str]) -> tuple[dict[str, str], Path | None]:
    """The environment with what the file adds, and the file; None where it does not apply.

    It applies where the environment contradicts nothing of it: production settings, and those of
    another database, are never mixed with it.

    Raises:
        InvalidSettings: the file cannot be read.
    """
    default = Settings.model_fields["data_dir"].default
    file = Path(environment.get(_DATA_DIR) or default) / FILE_NAME
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
    left = _parse(file, text)
    given = {name: value for name, value in environment.items() if value}
    if any(given.get(name, left.get(name)) != left.get(name) for name in _DECIDING_VARIABLES):
        return dict(environment), None
    return {**environment, **left, **given}, file


def _parse(file: Path, text: str) -> dict[str, str]:
    try:
        left = json.loads(text)
    except json.JSONDecodeError:
        left = None
    if not isinstance(left, dict):
        raise InvalidSettings(f"{file}: is not JSON; remove it and start the gateway again")
    return {name: str(value) for name, value in left.items() if name in _VARIABLES}
