"""Every installation takes what the locks pin and resolves nothing."""

import re
import subprocess
import tomllib
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.fixtures.locks import (
    BENCHMARKS_LOCK,
    PRODUCTION_LOCK,
    ROOT,
    TESTS_LOCK,
    pinned,
    pins,
)

LOCKS = (PRODUCTION_LOCK, TESTS_LOCK, BENCHMARKS_LOCK)


def make_commands() -> Sequence[str]:
    """What make would run to set everything up, one command a line."""
    dry_run = ["make", "--dry-run", "--always-make", ".venv/.tools", ".bench/.ready"]
    run = subprocess.run(dry_run, cwd=ROOT, check=True, capture_output=True, text=True)
    return run.stdout.replace("\\\n", " ").splitlines()


def image_commands() -> Sequence[str]:
    dockerfile = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    return [command for line in dockerfile.splitlines() for command in line.split("&&")]


def installations(commands: Iterable[str]) -> Sequence[str]:
    return [one for one in commands if re.search(r"\bpip\b.* install\b", one)]


@pytest.mark.parametrize(
    ("commands", "locks"),
    [
        (
            make_commands,
            ["requirements.lock", "tests/requirements.lock", "tests/benchmarks/requirements.txt"],
        ),
        (image_commands, ["requirements.lock"]),
    ],
)
def test_every_installation_takes_a_whole_lock(
    commands: Callable[[], Sequence[str]], locks: Sequence[str]
) -> None:
    found = installations(commands())
    of_locks = [one for one in found if "--requirement" in one or " -r " in one]
    of_gateway = [one for one in found if one not in of_locks]

    assert [one.split()[-1] for one in of_locks] == locks
    for one in of_locks:
        assert {"--no-deps", "--require-hashes", "--only-binary=:all:"} <= set(one.split())
    assert len(of_gateway) == 1
    assert {"--no-deps", "--no-build-isolation"} <= set(of_gateway[0].split())


@pytest.mark.parametrize(("commands", "checks"), [(make_commands, 3), (image_commands, 1)])
def test_every_environment_is_checked_by_pip(
    commands: Callable[[], Sequence[str]], checks: int
) -> None:
    assert len([one for one in commands() if re.search(r"\bpip\b.* check\b", one)]) == checks


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: str(lock.relative_to(ROOT)))
def test_every_pin_names_one_version_and_hashes(lock: Path) -> None:
    found = pins(lock)

    assert len(found) > 20
    for pin in found:
        assert pin.version
        assert not pin.requirement.extras
        assert pin.hashes
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in pin.hashes)


def declared(*groups: str) -> Iterator[str]:
    """The requirements of pyproject.toml: the gateway's, its extras' and those of *groups*."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    yield from project["project"]["dependencies"]
    for extra in project["project"]["optional-dependencies"].values():
        yield from extra
    for group in groups:
        yield from project["dependency-groups"][group]


def missing_from(lock: Path, requirements: Iterable[str]) -> Sequence[str]:
    """What *requirements* and all they require need and *lock* does not pin, here."""
    versions = pinned(lock)
    seen: set[str] = set()
    missing: list[str] = []
    waiting = [Requirement(one) for one in requirements]
    while waiting:
        requirement = waiting.pop()
        if str(requirement) in seen:
            continue
        seen.add(str(requirement))
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        version = versions.get(canonicalize_name(requirement.name))
        if version is None or not requirement.specifier.contains(version, prereleases=True):
            missing.append(str(requirement))
        else:
            waiting += required_by(requirement)
    return missing


def required_by(requirement: Requirement) -> Iterator[Requirement]:
    """What the installed package requires here, with the extras that *requirement* asks for."""
    for line in distribution(requirement.name).requires or ():
        wanted = Requirement(line)
        marker = wanted.marker
        if marker is None or any(
            marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras)
        ):
            wanted.marker = None
            yield wanted


def test_the_installed_packages_are_those_of_the_lock() -> None:
    wrong = {}
    for name, version in pinned(TESTS_LOCK).items():
        try:
            installed = distribution(name).version
        except PackageNotFoundError:
            installed = "none"
        if installed != version:
            wrong[name] = f"{installed} instead of {version}"

    assert wrong == {}


def test_the_lock_of_production_is_complete() -> None:
    assert missing_from(PRODUCTION_LOCK, declared("build")) == []


def test_the_lock_of_the_tests_is_complete() -> None:
    assert missing_from(TESTS_LOCK, declared("build", "dev")) == []


def test_a_gap_in_a_lock_is_found(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    entries = re.split(r"\n(?=\S)", PRODUCTION_LOCK.read_text())
    lock.write_text("\n".join(one for one in entries if not one.startswith("h11==")))

    missing = missing_from(lock, declared("build"))
    assert {Requirement(one).name for one in missing} == {"h11"}


def test_the_locks_agree() -> None:
    tests = pinned(TESTS_LOCK)

    assert {name: tests.get(name) for name in pinned(PRODUCTION_LOCK)} == pinned(PRODUCTION_LOCK)


def test_production_brings_no_flask() -> None:
    assert not {"flask", "flask-swagger-ui", "werkzeug"} & set(pinned(PRODUCTION_LOCK))
