"""The gauges count what waits less often where that takes long."""

import pytest

from gateway.runtime.gauges import counts_to_skip


@pytest.mark.parametrize(
    ("taken", "skipped"),
    [(0.01, 0), (0.7, 0), (0.8, 1), (2.0, 2), (30.0, 3)],
    ids=["few messages", "a million", "more", "millions", "many millions"],
)
def test_counts_are_rarer_the_longer_they_take(taken: float, skipped: int) -> None:
    assert counts_to_skip(taken) == skipped
