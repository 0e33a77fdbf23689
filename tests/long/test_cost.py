"""A message costs no more processor time than it did, in units of the same run.

A busy machine makes messages cheaper: they wait for it, and more of them share a statement. So a
window counts only if its messages took about as many commits as those of the baseline.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tests.benchmarks import steady
from tests.benchmarks.harness import server

pytestmark = pytest.mark.long

BASELINE = Path(steady.__file__).with_name("steady_baseline.json")
MAX_RISE = 1.25
MIN_COMMITS = 0.9
"""The part of the commits of the baseline that a window must have to count."""
WINDOWS, MAX_WINDOWS = 2, 4
WORDS = ["--seconds", "15", "--warm-up", "6", "--idle", "0", "--units"]
UNITS = {"gateway": "noop", "postgres": "insert"}


async def test_message_at_a_steady_load_costs_no_more_than_its_baseline() -> None:
    baseline: dict[str, float] = json.loads(BASELINE.read_text())
    calm: list[dict[str, float]] = []
    seen: list[dict[str, float]] = []
    async with server() as url:
        while len(calm) < WINDOWS and len(seen) < MAX_WINDOWS:
            figures = await steady.measure(url, 200, steady.arguments_of(WORDS))
            seen.append(figures)
            if figures["commits"] >= MIN_COMMITS * baseline["commits"]:
                calm.append(figures)

    ratios = ratios_of(calm or seen)
    assert {n: v for n, v in ratios.items() if v > MAX_RISE * baseline[n]} == {}, baseline
    if len(calm) < WINDOWS:
        commits = ", ".join(f"{figures['commits']:.2f}" for figures in seen)
        pytest.skip(
            f"the machine is too busy, or its disk too slow, to tell: messages took {commits} "
            f"commits, and {baseline['commits']:.2f} in the baseline"
        )


def ratios_of(windows: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Returns the least cost in the least units: what else a machine does only adds to each."""
    return {
        name: min(figures[name] for figures in windows) / min(figures[unit] for figures in windows)
        for name, unit in UNITS.items()
    }
