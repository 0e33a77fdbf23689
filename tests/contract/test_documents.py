import subprocess
import sys
from pathlib import Path

import pytest

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
