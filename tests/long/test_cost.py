"""A message costs no more processor time than it did, in units of the same run."""

import json
from pathlib import Path

import pytest

from tests.benchmarks import steady
from tests.benchmarks.harness import server

pytestmark = pytest.mark.long

BASELINE = Path(steady.__file__).with_name("steady_baseline.json")
MAX_RISE = 1.25
WINDOWS = 3
WORDS = ["--seconds", "15", "--warm-up", "6", "--idle", "0", "--units"]


async def test_message_at_a_steady_load_costs_no_more_than_its_baseline() -> None:
    """The least of some windows counts: what else the machine does only adds to one."""
    least: dict[str, float] = {}
    async with server() as url:
        for _ in range(WINDOWS):
            figures = await steady.measure(url, 200, steady.arguments_of(WORDS))
            least = {
                name: min(figures[f"{name} in units"], least.get(name, float("inf")))
                for name in ("gateway", "postgres")
            }

    baseline = json.loads(BASELINE.read_text())
    assert {n: v for n, v in least.items() if v > MAX_RISE * baseline[n]} == {}, (least, baseline)
