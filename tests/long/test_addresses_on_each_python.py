"""The address policy refuses the same addresses on every Python that the gateway supports."""

import os
import subprocess

import pytest

from tests.fixtures.locks import ROOT
from tests.long.test_install import python_of

pytestmark = pytest.mark.long


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_address_policy_on_python(version: str) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    run = subprocess.run(
        [python, ROOT / "tests" / "unit" / "test_public_address.py"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert run.stdout == "the addresses are right\n", run.stderr
