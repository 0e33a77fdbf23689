"""Set-up with several Pythons and pips, from an index where every package has a newer version."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.locks import ROOT, TESTS_LOCK, pins

pytestmark = pytest.mark.long

NEWEST = "newest"
# The oldest pip that each Python comes with; Debian 12's Python 3.11 has 23.0.1.
SETUPS = [
    ("3.11", "23.0.1"),
    ("3.11", "23.2.1"),
    ("3.11", NEWEST),
    ("3.12", "23.2.1"),
    ("3.12", NEWEST),
    ("3.13", "24.2"),
    ("3.13", NEWEST),
]
VERSIONS = sorted({python for python, _ in SETUPS})


@dataclass(frozen=True)
class Index:
    """A folder with the wheels of the tests' lock, and of each package one newer version."""

    wheels: Path

    def environment(self) -> Mapping[str, str]:
        """What keeps pip to the folder and away from the machine's own configuration."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        return {
            **kept,
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_NO_INDEX": "1",
            "PIP_FIND_LINKS": str(self.wheels),
        }


def python_of(version: str) -> Path | None:
    """An interpreter of *version* that starts and can make virtual environments."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    on_path = shutil.which(f"python{version}")
    candidates: list[Path] = [
        *sorted(pyenv.glob(f"{version}.*/bin/python{version}")),
        *([Path(on_path)] if on_path else ()),
        Path(f"/usr/bin/python{version}"),
    ]
    for candidate in candidates:
        if candidate.exists():
            probe = subprocess.run(
                [candidate, "-c", "import ensurepip, sys; print(*sys.version_info[:2], sep='.')"],
                check=False,
                capture_output=True,
                text=True,
            )
            if probe.stdout.strip() == version:
                return candidate
    return None


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """Half a gigabyte from the index that this machine's pip knows, then 150 made-up wheels."""
    wheels = tmp_path_factory.mktemp("index")
    for version in VERSIONS:
        if python := python_of(version):
            venv = tmp_path_factory.mktemp(f"python{version}-")
            subprocess.run([python, "-m", "venv", venv], check=True)
            download(venv / "bin" / "python", wheels, "--require-hashes", "-r", str(TESTS_LOCK))
    for package in {pin.name for pin in pins(TESTS_LOCK)}:
        write_empty_wheel(wheels, package, "9999.0")
    yield Index(wheels)
    shutil.rmtree(wheels)


@pytest.fixture(scope="module")
def pips(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """One wheel of each pip."""
    found = {}
    for version in {pip for _, pip in SETUPS}:
        folder = tmp_path_factory.mktemp("pip")
        wanted = "pip" if version == NEWEST else f"pip=={version}"
        download(Path(sys.executable), folder, wanted)
        (found[version],) = folder.glob("pip-*.whl")
    return found


def download(python: Path, folder: Path, *arguments: str) -> None:
    command: list[str | Path] = [
        python,
        "-m",
        "pip",
        "--disable-pip-version-check",
        "download",
        "--quiet",
    ]
    only = ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    subprocess.run([*command, *only, *arguments], check=True)


def write_empty_wheel(folder: Path, package: str, version: str) -> None:
    name = package.replace("-", "_")
    info = f"{name}-{version}.dist-info"
    tag = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(
            f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
        wheel.writestr(f"{info}/WHEEL", tag)
        wheel.writestr(f"{info}/RECORD", f"{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


def python_with_pip(folder: Path, python: Path, pip: Path) -> Path:
    """A command that is *python*, but whose virtual environments get *pip* instead of its own."""
    command = folder / "python"
    command.write_text(
        "#!/bin/sh\nset -e\n"
        f'"{python}" "$@"\n'
        '[ "$1 $2" = "-m venv" ] || exit 0\n'
        'for venv in "$@"; do :; done\n'
        f'"$venv/bin/python" -m pip install --quiet --no-index --force-reinstall "{pip}"\n'
    )
    command.chmod(0o755)
    return command


def interpreter(version: str) -> Path:
    python = python_of(version)
    if python is None:
        pytest.skip(f"Python {version} is not installed")
    return python


@pytest.mark.parametrize(("version", "pip"), SETUPS)
def test_setup_installs_the_lock_whatever_is_newer(
    version: str, pip: str, index: Index, pips: Mapping[str, Path], tmp_path: Path
) -> None:
    python = python_with_pip(tmp_path, interpreter(version), pips[pip])
    venv = tmp_path / "venv"

    setup = subprocess.run(
        ["make", "--no-print-directory", f"PYTHON={python}", f"VENV={venv}", f"{venv}/.tools"],
        cwd=ROOT,
        env=index.environment(),
        check=False,
        capture_output=True,
        text=True,
    )

    said = setup.stdout + setup.stderr
    assert setup.returncode == 0, said
    assert said.count("No broken requirements found.") == 2
    assert not [one for one in ("WARNING", "DEPRECATION", "ERROR", "notice") if one in said], said
    assert output(venv, "-m", "pip", "--version").split()[1] == pips[pip].name.split("-")[1]
    assert wrong_versions(venv) == {}
    assert "serve" in output(venv, "-m", "gateway", "--help")
    shutil.rmtree(venv)


def test_the_same_index_breaks_an_installation_that_resolves(
    index: Index, pips: Mapping[str, Path], tmp_path: Path
) -> None:
    """Without --no-deps the oldest pip wants a newer version, so the index proves something."""
    python = python_with_pip(tmp_path, interpreter("3.11"), pips["23.0.1"])
    venv = tmp_path / "venv"
    subprocess.run([python, "-m", "venv", venv], check=True)

    resolving = subprocess.run(
        [venv / "bin" / "python", "-m", "pip", "install", "--require-hashes", "-r", TESTS_LOCK],
        env=index.environment(),
        check=False,
        capture_output=True,
        text=True,
    )

    assert resolving.returncode != 0
    assert "In --require-hashes mode" in resolving.stderr


def wrong_versions(venv: Path) -> Mapping[str, str]:
    """What is installed in *venv* otherwise than locked, judged by the Python of *venv*."""
    program = (
        "import importlib.metadata as metadata\n"
        "from tests.fixtures.locks import TESTS_LOCK, pinned\n"
        "print({name: metadata.version(name) for name, version in pinned(TESTS_LOCK).items()"
        " if metadata.version(name) != version})"
    )
    said = output(venv, "-c", program)
    return {} if said == "{}" else {"wrong": said}


def output(venv: Path, *arguments: str) -> str:
    run = subprocess.run(
        [venv / "bin" / "python", *arguments], cwd=ROOT, check=True, capture_output=True, text=True
    )
    return run.stdout.strip()
