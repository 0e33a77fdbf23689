"""A slow receiver gets few requests at once, a dead one none for a while."""

import pytest

from gateway.clock import Clock
from gateway.webhooks.circuit_breakers import BreakerLimits, CircuitBreakers

A, B = "acme https://a.example/hook", "acme https://b.example/hook"
LIMITS = BreakerLimits(
    max_in_flight=4,
    max_strikes=3,
    slow_seconds=5.0,
    first_open_seconds=1.0,
    max_open_seconds=10.0,
    max_open_after_error_seconds=10.0,
)


class HandClock(Clock):
    """Stands still until a test moves it."""

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


def entered(breakers: CircuitBreakers, times: int, receiver: str = A) -> int:
    return sum(breakers.enter(receiver) for _ in range(times))


def stay_silent(breakers: CircuitBreakers, times: int = 1, receiver: str = A) -> None:
    """Makes requests that get no answer, one after the other."""
    for _ in range(times):
        assert breakers.enter(receiver)
        breakers.record_silence(receiver)
        breakers.leave(receiver)


def open_seconds(breakers: CircuitBreakers, clock: HandClock) -> float:
    """Returns how long the breaker opens after a silent request, and moves past it."""
    stay_silent(breakers)
    seconds = breakers.seconds_open(A)
    clock.seconds += seconds
    return seconds


def test_breakers_limit_requests_per_account(clock: HandClock) -> None:
    limits = BreakerLimits(max_in_flight=4, max_in_flight_per_account=6)
    breakers = CircuitBreakers(clock, lambda low, _high: low, limits)
    other = "other https://a.example/hook"

    assert entered(breakers, 6) == 4
    assert breakers.full_accounts() == []
    assert entered(breakers, 6, B) == 2
    assert breakers.full_accounts() == ["acme"]
    assert entered(breakers, 6, other) == 4
    assert breakers.leave(B)
    assert breakers.full_accounts() == []
    assert entered(breakers, 6, B) == 1


def test_breaker_limits_requests_per_receiver(
    breakers: CircuitBreakers,
) -> None:
    assert entered(breakers, 6) == 4
    assert entered(breakers, 6, B) == 4
    assert breakers.blocked() == [A, B]


def test_leave_of_a_full_receiver_lets_others_in(breakers: CircuitBreakers) -> None:
    entered(breakers, 4)

    assert [breakers.leave(A), breakers.leave(A)] == [True, False]
    assert entered(breakers, 4) == 2


def test_few_silences_keep_the_breaker_closed(breakers: CircuitBreakers) -> None:
    stay_silent(breakers, 2)

    assert breakers.seconds_open(A) == 0.0
    assert not breakers.is_down(A)
    assert entered(breakers, 6) == 4


def test_answer_resets_the_count_of_silences(breakers: CircuitBreakers) -> None:
    for _ in range(3):
        stay_silent(breakers, 2)
        assert breakers.enter(A)
        assert breakers.record_answer(A, 0.1) is False, "its breaker never opened"
        breakers.leave(A)

    assert not breakers.is_down(A)


def test_silences_in_a_row_open_one_breaker(
    breakers: CircuitBreakers,
) -> None:
    stay_silent(breakers, 3)

    assert breakers.seconds_open(A) == 1.0
    assert breakers.is_down(A)
    assert not breakers.enter(A)
    assert breakers.enter(B)
    assert (breakers.blocked(), breakers.count_open()) == ([A], 1)


def test_half_open_breaker_lets_one_request_through(
    breakers: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(breakers, 3)

    clock.seconds += 0.9
    assert not breakers.enter(A)
    clock.seconds += 0.1
    assert entered(breakers, 3) == 1
    assert breakers.count_open() == 0
    assert breakers.is_down(A), "it has not answered yet"


def test_answer_closes_a_half_open_breaker(breakers: CircuitBreakers, clock: HandClock) -> None:
    stay_silent(breakers, 3)
    clock.seconds += 1.0
    breakers.enter(A)

    assert breakers.record_answer(A, 0.1) is True
    assert entered(breakers, 6) == 3  # beside the request in flight


def test_open_time_doubles_up_to_a_limit_until_an_answer(
    breakers: CircuitBreakers, clock: HandClock
) -> None:
    stay_silent(breakers, 2)

    assert [open_seconds(breakers, clock) for _ in range(6)] == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    breakers.enter(A)
    breakers.record_answer(A, 0.1)
    breakers.leave(A)
    stay_silent(breakers, 2)
    assert open_seconds(breakers, clock) == 1.0


def test_open_time_never_exceeds_its_maximum(breakers: CircuitBreakers, clock: HandClock) -> None:
    stay_silent(breakers, 2)

    assert max(open_seconds(breakers, clock) for _ in range(1_100)) == 10.0


@pytest.mark.parametrize(("pick", "seconds"), [(min, 0.8), (max, 1.2)])
def test_open_time_is_random_by_a_fifth(clock: HandClock, pick: object, seconds: float) -> None:
    assert callable(pick)
    breakers = CircuitBreakers(clock, lambda low, high: float(pick(low, high)), LIMITS)
    stay_silent(breakers, 3)

    assert breakers.seconds_open(A) == pytest.approx(seconds)


def test_silences_in_flight_open_the_breaker_once(breakers: CircuitBreakers) -> None:
    entered(breakers, 4)
    for _ in range(4):
        breakers.record_silence(A)

    assert breakers.seconds_open(A) == 1.0


def test_slow_receiver_gets_one_request_at_a_time(
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


def test_receiver_that_asks_to_wait_is_blocked_at_once(
    breakers: CircuitBreakers, clock: HandClock
) -> None:
    breakers.enter(A)
    breakers.open_for(A, 60.0)
    breakers.leave(A)

    assert breakers.seconds_open(A) == 60.0
    assert not breakers.enter(A)
    clock.seconds += 60.0
    assert entered(breakers, 3) == 1


def test_idle_healthy_receiver_takes_no_memory(breakers: CircuitBreakers) -> None:
    stay_silent(breakers, 3)
    entered(breakers, 1, B)
    breakers.record_answer(B, 0.1)
    breakers.leave(B)

    assert list(breakers._breakers) == [A]
    assert (breakers.seconds_open(B), breakers.is_down(B)) == (0.0, False)


def answer(breakers: CircuitBreakers, *, is_error: bool) -> bool:
    """Makes a request that is answered promptly; returns whether the receiver was down before."""
    assert breakers.enter(A)
    was_down = breakers.record_answer(A, 0.01, is_error=is_error)
    breakers.leave(A)
    return was_down


def test_server_errors_in_a_row_open_the_breaker_for_a_short_time(
    breakers: CircuitBreakers, clock: HandClock
) -> None:
    for _ in range(9):
        answer(breakers, is_error=True)
    assert not breakers.is_down(A)

    opened = []
    for _ in range(7):
        answer(breakers, is_error=True)
        opened.append(breakers.seconds_open(A))
        clock.seconds += opened[-1]

    assert opened == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0]
    assert entered(breakers, 3) == 1  # half-open


def test_success_between_server_errors_keeps_the_breaker_closed(breakers: CircuitBreakers) -> None:
    for number in range(100):
        answer(breakers, is_error=number % 10 != 9)

    assert not breakers.seconds_open(A)
    assert entered(breakers, 4) == 4


def test_success_closes_a_breaker_that_server_errors_opened(
    breakers: CircuitBreakers, clock: HandClock
) -> None:
    for _ in range(10):
        answer(breakers, is_error=True)
    clock.seconds += breakers.seconds_open(A)

    assert answer(breakers, is_error=False)
    assert not breakers.is_down(A)
    assert entered(breakers, 4) == 4


def test_errors_of_requests_in_flight_do_not_lengthen_the_open_time(
    breakers: CircuitBreakers,
) -> None:
    for _ in range(9):
        answer(breakers, is_error=True)
    assert entered(breakers, 3) == 3
    for _ in range(3):
        breakers.record_answer(A, 0.01, is_error=True)

    assert breakers.seconds_open(A) == 1.0
