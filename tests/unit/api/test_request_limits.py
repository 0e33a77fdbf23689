"""Buckets that leak at a steady rate."""

import pytest

from gateway.api.request_limits import Buckets, Rate, RequestLimits
from gateway.clock import Clock
from gateway.errors import TooManyRequests

NO_LIMIT = Rate(0.0, 1)


class HandClock(Clock):
    """Stands still until moved."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic_seconds(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def count_allowed(limits: RequestLimits, times: int, *, instance_id: str = "i") -> int:
    """How many of so many requests are let in."""
    allowed = 0
    for _ in range(times):
        try:
            limits.count(account_id="a", instance_id=instance_id)
        except TooManyRequests:
            continue
        allowed += 1
    return allowed


def test_without_a_rate_there_is_no_limit(clock: HandClock) -> None:
    assert count_allowed(RequestLimits(clock, account=NO_LIMIT, instance=NO_LIMIT), 1_000) == 1_000


def test_a_burst_is_let_in_and_then_the_rate(clock: HandClock) -> None:
    limits = RequestLimits(clock, account=NO_LIMIT, instance=Rate(2.0, 5))

    at_once = count_allowed(limits, 20)
    clock.seconds += 1.5
    later = count_allowed(limits, 20)
    clock.seconds += 3_600
    after_a_rest = count_allowed(limits, 20)

    assert (at_once, later, after_a_rest) == (5, 3, 5)


def test_a_refusal_says_when_to_come_back(clock: HandClock) -> None:
    limits = RequestLimits(clock, account=Rate(0.25, 1), instance=NO_LIMIT)
    limits.count(account_id="a")

    with pytest.raises(TooManyRequests) as refused:
        limits.count(account_id="a")

    assert refused.value.retry_after_seconds == 4
    assert str(refused.value) == "Too many requests for this account"


def test_instances_do_not_share_a_bucket_but_share_their_accounts(clock: HandClock) -> None:
    limits = RequestLimits(clock, account=Rate(1.0, 5), instance=Rate(1.0, 3))

    assert [count_allowed(limits, 10, instance_id=name) for name in ("one", "two", "three")] == [
        3,
        2,
        0,
    ]


def test_what_the_instance_is_refused_costs_the_account_nothing(clock: HandClock) -> None:
    limits = RequestLimits(clock, account=Rate(1.0, 5), instance=Rate(1.0, 1))

    assert count_allowed(limits, 100, instance_id="greedy") == 1
    assert count_allowed(limits, 1, instance_id="modest") == 1


def test_only_so_many_buckets_are_kept() -> None:
    buckets = Buckets(Rate(1.0, 1), max_count=2)
    for name in ("one", "two", "three"):
        buckets.seconds_until_token(name, 0.0)
        buckets.take(name)

    assert buckets.seconds_until_token("three", 0.0) == 1.0
    assert buckets.seconds_until_token("one", 0.0) == 0.0
