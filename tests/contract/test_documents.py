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
def test_a_committed_document_is_what_the_declarations_say(command: list[str], file: str) -> None:
    printed = subprocess.run(
        [sys.executable, "-m", "gateway", *command], cwd=ROOT, capture_output=True, check=True
    ).stdout
    assert (ROOT / file).read_bytes() == printed, f"{file} is stale: run `make docs`"


def test_the_tables_of_the_readme_are_what_the_program_says() -> None:
    readme = (ROOT / "README.md").read_text()
    assert renew(readme) == readme, "README.md is stale: run `make docs`"
