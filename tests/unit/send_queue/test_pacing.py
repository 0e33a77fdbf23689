"""How long to wait, as numbers."""

import random

import pytest

from gateway.send_queue.pacing import Backoff, Pace, pause_before


def shortest(low: float, _high: float) -> float:
    return low


def longest(_low: float, high: float) -> float:
    return high


def test_a_pause_lies_between_the_two_bounds() -> None:
    pace = Pace(1.0, 3.0)
    uniform = random.Random(1).uniform

    pauses = [pause_before(None, pace, uniform) for _ in range(1_000)]

    assert pause_before(None, pace, shortest) == 1.0
    assert pause_before(None, pace, longest) == 3.0
    assert min(pauses) < 1.1
    assert max(pauses) > 2.9
    assert all(1.0 <= pause <= 3.0 for pause in pauses)


def test_a_delay_of_the_caller_comes_on_top() -> None:
    assert pause_before(15, Pace(1.0, 3.0), shortest) == 16.0


def test_no_pace_is_no_pause() -> None:
    assert pause_before(None, Pace(0.0, 0.0), longest) == 0.0


@pytest.mark.parametrize(
    ("attempts", "low", "high"), [(1, 2.5, 5.0), (2, 5.0, 10.0), (3, 10.0, 20.0), (4, 20.0, 40.0)]
)
def test_the_pause_after_a_failure_doubles(attempts: int, low: float, high: float) -> None:
    backoff = Backoff(base_seconds=5.0, cap_seconds=300.0)

    assert backoff.after(attempts, shortest) == low
    assert backoff.after(attempts, longest) == high


@pytest.mark.parametrize("attempts", [7, 8, 100, 1_000])
def test_the_pause_never_exceeds_the_cap(attempts: int) -> None:
    backoff = Backoff(base_seconds=5.0, cap_seconds=300.0)

    assert backoff.after(attempts, longest) == 300.0
    assert backoff.after(attempts, shortest) == 150.0


def test_a_base_of_zero_is_no_pause() -> None:
    assert Backoff(0.0, 300.0).after(5, longest) == 0.0


def test_the_pause_is_random() -> None:
    uniform = random.Random(1).uniform

    assert len({Backoff().after(3, uniform) for _ in range(20)}) == 20
