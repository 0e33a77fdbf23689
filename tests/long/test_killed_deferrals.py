"""A process that is killed between any two lines loses no file that it had accepted."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fixtures.buckets import new_bucket

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


def test_no_accepted_file_is_lost(database_url: str, s3_port: int, tmp_path: Path) -> None:
    new_bucket(s3_port, "killed")
    program = [sys.executable, "-m", "tests.long.killed_deferrals"]
    ended = subprocess.run(
        [*program, database_url, str(tmp_path), str(s3_port)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        check=True,
    )
    lines = ended.stdout.decode().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]  # the rest is the log
    killed = {
        p: [f for f in found if f["phase"] == p and not f["lived"]] for p in ("deferred", "moved")
    }

    assert all(len(lines) > 30 for lines in killed.values())
    assert [f for f in found if f.get("accepted") and not (f["before"] and f["after"])] == []
    assert {tuple(f["left"]) for f in found} == {("folder-id",)}
    assert {f["notes"] for f in found} == {0}
