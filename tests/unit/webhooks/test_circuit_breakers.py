"""An address that is slow gets little at once, a dead one nothing for a while."""

import pytest

from gateway.clock import Clock
from gateway.webhooks.circuit_breakers import BreakerLimits, CircuitBreakers

A, B = "acme https://a.example/hook", "acme https://b.example/hook"
LIMITS = BreakerLimits(
    max_in_flight=4, max_strikes=3, slow_seconds=5.0, first_open_seconds=1.0, max_open_seconds=10.0
)


class HandClock(Clock):
    """Stands still until moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic_seconds(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def breakers(clock: HandClock) -> CircuitBreakers:
    return CircuitBreakers(clock, lambda low, high: (low + high) / 2, LIMITS)


def entered(breakers: CircuitBreakers, times: int, address: str = A) -> int:
    return sum(breakers.enter(address) for _ in range(times))


def stay_silent(breakers: CircuitBreakers, times: int = 1, address: str = A) -> None:
    """One after the other."""
    for _ in range(times):
        assert breakers.enter(address)
        breakers.record_silence(address)
        breakers.leave(address)


def hold(breakers: CircuitBreakers, clock: HandClock) -> float:
    """The length of a hold that a silent probe leads to, once it is over."""
    stay_silent(breakers)
    seconds = breakers.seconds_open(A)
    clock.seconds += seconds
    return seconds


def test_so_many_at_once_and_no_address_takes_the_place_of_another(
    breakers: CircuitBreakers,
) -> None:
    assert entered(breakers, 6) == 4
    assert entered(breakers, 6, B) == 4
    assert breakers.blocked() == [A, B]


def test_only_who_leaves_a_full_address_makes_room_for_others(breakers: CircuitBreakers) -> None:
    entered(breakers, 4)

    assert [breakers.leave(A), breakers.leave(A)] == [True, False]
    assert entered(breakers, 4) == 2


def test_a_little_silence_is_borne(breakers: CircuitBreakers) -> None:
    stay_silent(breakers, 2)

    assert breakers.seconds_open(A) == 0.0
    assert not breakers.is_down(A)
    assert entered(breakers, 6) == 4


def test_an_answer_ends_the_count_of_silences(breakers: CircuitBreakers) -> None:
    for _ in range(3):
        stay_silent(breakers, 2)
        assert breakers.enter(A)
        assert breakers.record_answer(A, 0.1) is False, "it had never been left alone"
        breakers.leave(A)

    assert not breakers.is_down(A)


def test_whoever_is_silent_in_a_row_is_left_alone_and_others_are_not(
    breakers: CircuitBreakers,
) -> None:
    stay_silent(breakers, 3)

    assert breakers.seconds_open(A) == 1.0
    assert breakers.is_down(A)
    assert not breakers.enter(A)
    assert breakers.enter(B)
    assert (breakers.blocked(), breakers.count_open()) == ([A], 1)


def test_after_the_hold_one_probe_at_a_time_is_let_in(
    breakers: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(breakers, 3)

    clock.seconds += 0.9
    assert not breakers.enter(A)
    clock.seconds += 0.1
    assert entered(breakers, 3) == 1
    assert breakers.count_open() == 0
    assert breakers.is_down(A), "it has not answered yet"


def test_a_probe_that_is_answered_opens_the_address(
    breakers: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(breakers, 3)
    clock.seconds += 1.0
    breakers.enter(A)

    assert breakers.record_answer(A, 0.1) is True
    assert entered(breakers, 6) == 3  # beside the probe itself


def test_holds_grow_up_to_a_limit_and_begin_anew_after_an_answer(
    breakers: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(breakers, 2)

    assert [hold(breakers, clock) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    breakers.enter(A)
    breakers.record_answer(A, 0.1)
    breakers.leave(A)
    stay_silent(breakers, 2)
    assert hold(breakers, clock) == 1.0


def test_a_thousand_holds_are_no_longer_than_the_longest(
    breakers: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(breakers, 2)

    assert max(hold(breakers, clock) for _ in range(1_100)) == 10.0


@pytest.mark.parametrize(("pick", "seconds"), [(min, 0.8), (max, 1.2)])
def test_a_hold_is_random_by_a_fifth(clock: HandClock, pick: object, seconds: float) -> None:
    assert callable(pick)
    breakers = CircuitBreakers(clock, lambda low, high: float(pick(low, high)), LIMITS)
    stay_silent(breakers, 3)

    assert breakers.seconds_open(A) == pytest.approx(seconds)


def test_silences_of_one_outage_lengthen_the_hold_once(breakers: CircuitBreakers) -> None:
    entered(breakers, 4)
    for _ in range(4):
        breakers.record_silence(A)

    assert breakers.seconds_open(A) == 1.0


def test_a_slow_address_is_asked_one_at_a_time_until_it_answers_soon(
    breakers: CircuitBreakers,
) -> None:
    for _ in range(3):
        breakers.enter(A)
        assert breakers.record_answer(A, 5.1) is False
        breakers.leave(A)

    assert entered(breakers, 3) == 1
    assert not breakers.is_down(A), "it does answer"
    breakers.record_answer(A, 5.0)
    assert entered(breakers, 6) == 3


def test_who_asks_to_wait_is_obeyed_at_once(breakers: CircuitBreakers, clock: HandClock) -> None:
    breakers.enter(A)
    breakers.open_for(A, 60.0)
    breakers.leave(A)

    assert breakers.seconds_open(A) == 60.0
    assert not breakers.enter(A)
    clock.seconds += 60.0
    assert entered(breakers, 3) == 1, "a probe"


def test_only_what_is_idle_and_healthy_is_forgotten(breakers: CircuitBreakers) -> None:
    stay_silent(breakers, 3)
    entered(breakers, 1, B)
    breakers.record_answer(B, 0.1)
    breakers.leave(B)

    assert list(breakers._breakers) == [A]
    assert (breakers.seconds_open(B), breakers.is_down(B)) == (0.0, False)
