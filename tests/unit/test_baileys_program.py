"""What a child of Baileys needs is found, and what is missing is said."""

import json
import os
from pathlib import Path

import pytest

from gateway.errors import StartRefused
from gateway.providers.baileys import node_program
from gateway.providers.baileys.installing import install_packages
from gateway.providers.baileys.node_program import PACKAGES, STAMP, find_node, lock_hash, program_of
from gateway.providers.baileys.provider import provider
from gateway.providers.baileys.settings import BaileysSettings


def node_that_says(folder: Path, version: str) -> str:
    node = folder / "node"
    node.write_text(f"#!/bin/sh\necho {version}\n")
    node.chmod(0o755)
    return str(node)


def installed_in(folder: Path, lock: str) -> str:
    (folder / STAMP).write_text(json.dumps({"lock": lock}))
    return str(folder)


def test_missing_node_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_program, "find_spec", lambda _name: None)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StartRefused, match="there is none"):
        find_node(BaileysSettings())


@pytest.mark.parametrize("version", ["v18.20.4", "v19.9.0"])
def test_older_node_is_refused(tmp_path: Path, version: str) -> None:
    with pytest.raises(StartRefused, match="20 or newer"):
        find_node(BaileysSettings(node=node_that_says(tmp_path, version)))


@pytest.mark.parametrize("version", ["v20.0.0", "v24.19.0"])
def test_newer_node_is_found(tmp_path: Path, version: str) -> None:
    node = node_that_says(tmp_path, version)
    assert str(find_node(BaileysSettings(node=node))) == node


def test_older_node_is_named_before_the_packages_that_it_could_not_run(tmp_path: Path) -> None:
    node = node_that_says(tmp_path, "v18.20.4")
    with pytest.raises(StartRefused, match="20 or newer"):
        program_of(BaileysSettings(node=node, packages=str(tmp_path / "packages")))


async def test_older_node_is_named_before_npm_is_looked_for(tmp_path: Path) -> None:
    node = node_that_says(tmp_path, "v18.20.4")
    with pytest.raises(StartRefused, match="20 or newer"):
        await install_packages(BaileysSettings(node=node, packages=str(tmp_path / "packages")))
    assert not (tmp_path / "packages").exists()


def test_program_that_is_no_node_is_refused(tmp_path: Path) -> None:
    for node in (node_that_says(tmp_path, "hello"), str(tmp_path / "none")):
        with pytest.raises(StartRefused, match="does not run as Node"):
            find_node(BaileysSettings(node=node))


def test_packages_are_needed_in_the_version_of_the_lock(tmp_path: Path) -> None:
    node = node_that_says(tmp_path, "v20.0.0")
    settings = BaileysSettings(node=node, packages=str(tmp_path), memory_mb=256)
    with pytest.raises(StartRefused, match="not installed"):
        program_of(settings)
    installed_in(tmp_path, "another")
    with pytest.raises(StartRefused, match="gateway providers install baileys"):
        program_of(settings)
    installed_in(tmp_path, lock_hash())
    program = program_of(settings)
    assert (program.node, program.packages) == (node, tmp_path)
    assert "--max-old-space-size=256" in program.command("3")


async def test_installed_packages_are_not_installed_again(tmp_path: Path) -> None:
    node = node_that_says(tmp_path, "v20.0.0")
    installed_in(tmp_path, lock_hash())
    said = await install_packages(BaileysSettings(node=node, packages=str(tmp_path)))
    assert said.endswith("already")


async def test_failure_of_npm_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    node = node_that_says(tmp_path, "v20.0.0")
    npm = tmp_path / "npm"
    npm.write_text("#!/bin/sh\necho no registry answers; exit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(StartRefused, match="no registry answers"):
        await install_packages(BaileysSettings(node=node, packages=str(tmp_path / "packages")))
    assert not (tmp_path / "packages" / STAMP).exists()


def test_sends_are_repeated_only_if_the_setting_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not provider.can_repeat_send
    monkeypatch.setenv("GATEWAY_BAILEYS_REPEAT_SENDS", "true")
    assert provider.can_repeat_send


def test_lock_names_no_registry_and_has_every_hash() -> None:
    lock = json.loads((PACKAGES / "package-lock.json").read_text())
    packages = [each for name, each in lock["packages"].items() if name]
    assert all("resolved" not in each and each["integrity"] for each in packages)
    manifest = json.loads((PACKAGES / "package.json").read_text())
    assert manifest["dependencies"]["baileys"] == "7.0.0-rc14"
