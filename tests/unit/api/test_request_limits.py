"""Accounts and instances are limited to a rate with a burst."""

import pytest

from gateway.api.request_limits import RequestLimits, UploadSlots
from gateway.clock import Clock
from gateway.errors import TooManyRequests
from gateway.token_buckets import Buckets, Rate

NO_LIMIT = Rate(0.0, 1)


class HandClock(Clock):
    """A clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def monotonic_seconds(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def count_allowed(limits: RequestLimits, times: int, *, instance_id: str = "i") -> int:
    """Returns how many of *times* requests are allowed."""
    allowed = 0
    for _ in range(times):
        try:
            limits.count(account_id="a", instance_id=instance_id)
        except TooManyRequests:
            continue
        allowed += 1
    return allowed


def test_limits_without_rate_allow_everything(clock: HandClock) -> None:
    assert count_allowed(RequestLimits(clock, account=NO_LIMIT, instance=NO_LIMIT), 1_000) == 1_000


def test_limits_allow_burst_then_rate(clock: HandClock) -> None:
    limits = RequestLimits(clock, account=NO_LIMIT, instance=Rate(2.0, 5))

    at_once = count_allowed(limits, 20)
    clock.seconds += 1.5
    later = count_allowed(limits, 20)
    clock.seconds += 3_600
    after_a_rest = count_allowed(limits, 20)

    assert (at_once, later, after_a_rest) == (5, 3, 5)


def test_limits_refusal_has_retry_after(clock: HandClock) -> None:
    limits = RequestLimits(clock, account=Rate(0.25, 1), instance=NO_LIMIT)
    limits.count(account_id="a")

    with pytest.raises(TooManyRequests) as refused:
        limits.count(account_id="a")

    assert refused.value.retry_after_seconds == 4
    assert str(refused.value) == "Too many requests for this account"


def test_limits_of_instances_share_the_account_bucket(clock: HandClock) -> None:
    limits = RequestLimits(clock, account=Rate(1.0, 5), instance=Rate(1.0, 3))

    assert [count_allowed(limits, 10, instance_id=name) for name in ("one", "two", "three")] == [
        3,
        2,
        0,
    ]


def test_limits_refused_request_takes_no_account_token(clock: HandClock) -> None:
    limits = RequestLimits(clock, account=Rate(1.0, 5), instance=Rate(1.0, 1))

    assert count_allowed(limits, 100, instance_id="greedy") == 1
    assert count_allowed(limits, 1, instance_id="modest") == 1


def test_limits_count_an_instance_whose_account_is_counted(clock: HandClock) -> None:
    limits = RequestLimits(clock, account=Rate(1.0, 1), instance=Rate(1.0, 2))
    limits.count(account_id="a")

    limits.count_instance("i")
    limits.count_instance("i")
    with pytest.raises(TooManyRequests, match="instance"):
        limits.count_instance("i")
    limits.count_instance("j")


def test_buckets_over_max_count_drop_the_oldest() -> None:
    buckets = Buckets(Rate(1.0, 1), max_count=2)
    for name in ("one", "two", "three"):
        buckets.seconds_until_token(name, 0.0)
        buckets.take(name)

    assert buckets.seconds_until_token("three", 0.0) == 1.0
    assert buckets.seconds_until_token("one", 0.0) == 0.0


def test_upload_slots_limit_each_account_and_are_given_back() -> None:
    uploads = UploadSlots(1)

    with uploads.slot("a"):
        with uploads.slot("b"):
            pass
        with pytest.raises(TooManyRequests, match="Too many unfinished bodies for this account"):
            uploads.slot("a").__enter__()
    with uploads.slot("a"):
        pass
