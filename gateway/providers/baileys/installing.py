"""Installs the packages of Baileys, in the versions of the lock."""

import asyncio
import json
import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from gateway.errors import StartRefused
from gateway.providers.baileys.node_program import (
    PACKAGES,
    STAMP,
    find_node,
    installed_lock,
    lock_hash,
)
from gateway.providers.baileys.settings import BaileysSettings

_ARGUMENTS = (
    *("ci", "--ignore-scripts", "--omit=peer", "--legacy-peer-deps"),
    *("--no-audit", "--no-fund"),
)
_MAX_OUTPUT = 600


async def install_packages(settings: BaileysSettings) -> str:
    """Installs the packages with npm, without their install scripts; returns a sentence.

    Sessions that run go on with the earlier packages until their process ends.

    Raises:
        StartRefused: Node or npm is missing, or npm failed; the text says why.
    """
    node, folder = find_node(settings), settings.packages_folder
    if installed_lock(folder) == lock_hash():
        return f"the packages are in {folder} already"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder, prefix="draft-") as draft:
            await _run_npm(node, Path(draft))
            _put_in_place(Path(draft), folder)
    except OSError as error:
        raise StartRefused(
            f"The packages of Baileys cannot be written to {folder}: {error}. Another folder can "
            "be named in GATEWAY_BAILEYS_PACKAGES."
        ) from None
    return f"the packages are in {folder}"


async def _run_npm(node: Path, folder: Path) -> None:
    for name in ("package.json", "package-lock.json"):
        shutil.copy(PACKAGES / name, folder)
    process = await asyncio.create_subprocess_exec(
        *_npm_of(node),
        *_ARGUMENTS,
        cwd=folder,
        env={**os.environ, "PATH": f"{node.parent}{os.pathsep}{os.environ.get('PATH', '')}"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    if process.returncode:
        reason = " ".join(output.decode(errors="replace").split())[-_MAX_OUTPUT:]
        raise StartRefused(f"npm could not install the packages of Baileys: {reason}")


def _npm_of(node: Path) -> list[str]:
    """Returns the command of npm: the one that came with this Node, else the one in PATH."""
    script = node.resolve().parent.parent / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    if script.exists():
        return [str(node), str(script)]
    if npm := shutil.which("npm"):
        return [npm]
    raise StartRefused("npm is missing: install it beside Node.")


def _put_in_place(draft: Path, folder: Path) -> None:
    """Replaces the packages; the stamp goes first and comes last, so that half is never used."""
    (folder / STAMP).unlink(missing_ok=True)
    modules = folder / "node_modules"
    if modules.exists():
        shutil.rmtree(modules)
    (draft / "node_modules").rename(modules)
    stamp = draft / STAMP
    stamp.write_text(json.dumps({"lock": lock_hash()}))
    stamp.rename(folder / STAMP)
