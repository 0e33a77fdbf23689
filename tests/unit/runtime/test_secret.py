"""A secret is written completely, once, and only its owner can read it."""

import os
import stat
from pathlib import Path

import pytest

from gateway.runtime.secret import secrets_of, write_private
from gateway.settings import Settings
from gateway.settings.node_sections import StorageSection


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def development(data_dir: Path, **environment: str) -> StorageSection:
    return Settings.read(
        {"GATEWAY_ENV": "development", "GATEWAY_DATA_DIR": str(data_dir), **environment}
    ).storage


def test_write_private_only_the_owner_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "secret"

    earlier = os.umask(0)
    try:
        write_private(file, "text")
    finally:
        os.umask(earlier)

    assert file.read_text() == "text"
    assert mode_of(file) == 0o600


def test_write_private_replaces_a_file_others_could_read(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("an old and much longer text")
    file.chmod(0o644)

    write_private(file, "new")

    assert file.read_text() == "new"
    assert mode_of(file) == 0o600


def test_write_private_creates_folders(tmp_path: Path) -> None:
    file = tmp_path / "a" / "b" / "secret"

    write_private(file, "text")

    assert file.read_text() == "text"


def test_write_private_leaves_no_draft(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", "text")

    assert [file.name for file in tmp_path.iterdir()] == ["secret"]


def test_write_private_interrupted_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    write_private(file, "old")

    def full(_descriptor: int) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_private(file, "new")

    assert file.read_text() == "old"


def test_secrets_of_given_secret_creates_no_file(tmp_path: Path) -> None:
    storage = development(tmp_path, GATEWAY_SECRET_KEY="one,two")

    assert secrets_of(storage, os.urandom) == ("one", "two")
    assert list(tmp_path.iterdir()) == []


def test_secrets_of_development_creates_a_secret_once(tmp_path: Path) -> None:
    storage = development(tmp_path / "data")

    (made,) = secrets_of(storage, os.urandom)
    again = secrets_of(storage, os.urandom)

    assert len(bytes.fromhex(made)) == 32
    assert again == (made,)
    assert mode_of(tmp_path / "data" / "secret.key") == 0o600
