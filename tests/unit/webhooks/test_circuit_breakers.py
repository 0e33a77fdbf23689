"""An address that is slow gets little at once, a dead one nothing for a while."""

import pytest

from gateway.clock import Clock
from gateway.webhooks.circuit_breakers import BreakerLimits, CircuitBreakers

A, B = "acme https://a.example/hook", "acme https://b.example/hook"
LIMITS = BreakerLimits(
    at_once=4, patience=3, slow_seconds=5.0, first_hold_seconds=1.0, max_hold_seconds=10.0
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
def addresses(clock: HandClock) -> CircuitBreakers:
    return CircuitBreakers(clock, lambda low, high: (low + high) / 2, LIMITS)


def entered(addresses: CircuitBreakers, times: int, address: str = A) -> int:
    return sum(addresses.enter(address) for _ in range(times))


def stay_silent(addresses: CircuitBreakers, times: int = 1, address: str = A) -> None:
    """One after the other."""
    for _ in range(times):
        assert addresses.enter(address)
        addresses.silent(address)
        addresses.leave(address)


def hold(addresses: CircuitBreakers, clock: HandClock) -> float:
    """The length of a hold that a silent probe leads to, once it is over."""
    stay_silent(addresses)
    seconds = addresses.seconds_held(A)
    clock.seconds += seconds
    return seconds


def test_so_many_at_once_and_no_address_takes_the_place_of_another(
    addresses: CircuitBreakers,
) -> None:
    assert entered(addresses, 6) == 4
    assert entered(addresses, 6, B) == 4
    assert addresses.held() == [A, B]


def test_only_who_leaves_a_full_address_makes_room_for_others(addresses: CircuitBreakers) -> None:
    entered(addresses, 4)

    assert [addresses.leave(A), addresses.leave(A)] == [True, False]
    assert entered(addresses, 4) == 2


def test_a_little_silence_is_borne(addresses: CircuitBreakers) -> None:
    stay_silent(addresses, 2)

    assert addresses.seconds_held(A) == 0.0
    assert not addresses.is_down(A)
    assert entered(addresses, 6) == 4


def test_an_answer_ends_the_count_of_silences(addresses: CircuitBreakers) -> None:
    for _ in range(3):
        stay_silent(addresses, 2)
        assert addresses.enter(A)
        assert addresses.answered(A, 0.1) is False, "it had never been left alone"
        addresses.leave(A)

    assert not addresses.is_down(A)


def test_whoever_is_silent_in_a_row_is_left_alone_and_others_are_not(
    addresses: CircuitBreakers,
) -> None:
    stay_silent(addresses, 3)

    assert addresses.seconds_held(A) == 1.0
    assert addresses.is_down(A)
    assert not addresses.enter(A)
    assert addresses.enter(B)
    assert (addresses.held(), addresses.count_held()) == ([A], 1)


def test_after_the_hold_one_probe_at_a_time_is_let_in(
    addresses: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(addresses, 3)

    clock.seconds += 0.9
    assert not addresses.enter(A)
    clock.seconds += 0.1
    assert entered(addresses, 3) == 1
    assert addresses.count_held() == 0
    assert addresses.is_down(A), "it has not answered yet"


def test_a_probe_that_is_answered_opens_the_address(
    addresses: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(addresses, 3)
    clock.seconds += 1.0
    addresses.enter(A)

    assert addresses.answered(A, 0.1) is True
    assert entered(addresses, 6) == 3  # beside the probe itself


def test_holds_grow_up_to_a_limit_and_begin_anew_after_an_answer(
    addresses: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(addresses, 2)

    assert [hold(addresses, clock) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    addresses.enter(A)
    addresses.answered(A, 0.1)
    addresses.leave(A)
    stay_silent(addresses, 2)
    assert hold(addresses, clock) == 1.0


def test_a_thousand_holds_are_no_longer_than_the_longest(
    addresses: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(addresses, 2)

    assert max(hold(addresses, clock) for _ in range(1_100)) == 10.0


@pytest.mark.parametrize(("pick", "seconds"), [(min, 0.8), (max, 1.2)])
def test_a_hold_is_random_by_a_fifth(clock: HandClock, pick: object, seconds: float) -> None:
    assert callable(pick)
    addresses = CircuitBreakers(clock, lambda low, high: float(pick(low, high)), LIMITS)
    stay_silent(addresses, 3)

    assert addresses.seconds_held(A) == pytest.approx(seconds)


def test_silences_of_one_outage_lengthen_the_hold_once(addresses: CircuitBreakers) -> None:
    entered(addresses, 4)
    for _ in range(4):
        addresses.silent(A)

    assert addresses.seconds_held(A) == 1.0


def test_a_slow_address_is_asked_one_at_a_time_until_it_answers_soon(
    addresses: CircuitBreakers,
) -> None:
    for _ in range(3):
        addresses.enter(A)
        assert addresses.answered(A, 5.1) is False
        addresses.leave(A)

    assert entered(addresses, 3) == 1
    assert not addresses.is_down(A), "it does answer"
    addresses.answered(A, 5.0)
    assert entered(addresses, 6) == 3


def test_who_asks_to_wait_is_obeyed_at_once(addresses: CircuitBreakers, clock: HandClock) -> None:
    addresses.enter(A)
    addresses.asked_to_wait(A, 60.0)
    addresses.leave(A)

    assert addresses.seconds_held(A) == 60.0
    assert not addresses.enter(A)
    clock.seconds += 60.0
    assert entered(addresses, 3) == 1, "a probe"


def test_only_what_is_idle_and_healthy_is_forgotten(addresses: CircuitBreakers) -> None:
    stay_silent(addresses, 3)
    entered(addresses, 1, B)
    addresses.answered(B, 0.1)
    addresses.leave(B)

    assert list(addresses._known) == [A]
    assert (addresses.seconds_held(B), addresses.is_down(B)) == (0.0, False)
