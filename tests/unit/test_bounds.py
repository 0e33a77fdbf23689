"""A number outside of a range becomes the nearer end of it."""

import pytest

from gateway.bounds import clamp


@pytest.mark.parametrize(
    ("value", "clamped"), [(-1, 0), (0, 0), (3, 3), (7, 7), (8, 7), (2.5, 2.5), (-0.1, 0)]
)
def test_clamp_returns_the_value_or_the_nearer_end(value: float, clamped: float) -> None:
    assert clamp(value, 0, 7) == clamped
