"""Commands use the settings of `make run`, unless the environment contradicts them."""

from pathlib import Path

import pytest

from gateway.errors import InvalidSettings
from gateway.runtime.development import (
    FILE_NAME,
    with_development_settings,
    write_development_settings,
)
from gateway.settings import Settings

SECRET = "s0123456789abcdef0123456789abcdef"
URL = "postgresql://db/gateway"


def serve(data_dir: Path, **environment: str) -> None:
    write_development_settings(
        Settings.read(
            {"GATEWAY_ENV": "development", "GATEWAY_DATA_DIR": str(data_dir), **environment}
        )
    )


def command(data_dir: Path, **environment: str) -> dict[str, str]:
    """Returns the settings of a command, without the data directory."""
    found, _file = with_development_settings({"GATEWAY_DATA_DIR": str(data_dir), **environment})
    del found["GATEWAY_DATA_DIR"]
    return found


def test_command_gets_the_settings_of_the_gateway(tmp_path: Path) -> None:
    serve(tmp_path, DATABASE_URL=URL, GATEWAY_SECRET_KEY=SECRET, GATEWAY_PROVIDER="sandbox")

    assert command(tmp_path) == {
        "GATEWAY_ENV": "development",
        "DATABASE_URL": URL,
        "GATEWAY_SECRET_KEY": SECRET,
        "GATEWAY_PROVIDER": "sandbox",
    }
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o777 == 0o600


def test_command_reads_the_file_of_its_data_directory(tmp_path: Path) -> None:
    serve(tmp_path / "one")
    serve(tmp_path / "two", DATABASE_URL=URL)

    assert command(tmp_path / "one") == {"GATEWAY_ENV": "development"}
    assert command(tmp_path / "two")["DATABASE_URL"] == URL
    assert command(tmp_path / "three") == {}


def test_command_that_repeats_the_settings_gets_the_rest(tmp_path: Path) -> None:
    serve(tmp_path, DATABASE_URL=URL, GATEWAY_SECRET_KEY=SECRET)

    got = command(tmp_path, DATABASE_URL=URL, GATEWAY_PROVIDER="whatsmeow")

    assert got["GATEWAY_SECRET_KEY"] == SECRET
    assert got["GATEWAY_PROVIDER"] == "whatsmeow"


@pytest.mark.parametrize(
    "environment",
    [
        {"GATEWAY_ENV": "production"},
        {"GATEWAY_SECRET_KEY": "k0123456789abcdef0123456789abcdef"},
        {"DATABASE_URL": "postgresql://another/gateway"},
        {"GATEWAY_DIRECT_DATABASE_URL": URL},
    ],
)
def test_command_with_other_settings_gets_nothing(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    serve(tmp_path)

    assert command(tmp_path, **environment) == environment


def test_production_removes_the_file_of_development(tmp_path: Path) -> None:
    serve(tmp_path)

    serve(tmp_path, GATEWAY_ENV="production", GATEWAY_SECRET_KEY=SECRET)

    assert list(tmp_path.iterdir()) == []


def test_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{")

    with pytest.raises(InvalidSettings, match=r"development\.json: is not JSON"):
        command(tmp_path)
