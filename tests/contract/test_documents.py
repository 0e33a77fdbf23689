import subprocess
import sys
from pathlib import Path

import pytest

from gateway.runtime.readme import renew

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["openapi"], "openapi/openapi.json"),
        (["postman"], "postman/gateway.postman_collection.json"),
        (["postman", "--environment"], "postman/gateway.postman_environment.json"),
    ],
)
def test_committed_document_is_up_to_date(command: list[str], file: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "gateway", *command], cwd=ROOT, capture_output=True, check=True
    ).stdout
    assert (ROOT / file).read_bytes() == printed, f"{file} is stale: run `make docs`"


def test_readme_tables_are_up_to_date() -> None:
    readme = (ROOT / "README.md").read_text()
    assert renew(readme) == readme, "README.md is stale: run `make docs`"
