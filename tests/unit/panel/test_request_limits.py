"""A user and an address have a rate of requests to pages."""

import pytest

from gateway.errors import TooManyRequests
from gateway.panel.request_limits import PanelLimits
from tests.fixtures.users import SetClock


def test_a_user_over_the_rate_waits_and_another_does_not() -> None:
    clock = SetClock()
    limits = PanelLimits(clock, 2)
    for _ in range(20):
        limits.count_user("ana")
    with pytest.raises(TooManyRequests) as refused:
        limits.count_user("ana")
    limits.count_user("eva")
    clock.advance(0.5)
    limits.count_user("ana")

    assert refused.value.retry_after_seconds == 1


def test_an_address_may_make_as_many_as_five_users() -> None:
    limits = PanelLimits(SetClock(), 2)
    for _ in range(100):
        limits.count_address("203.0.113.7")
    with pytest.raises(TooManyRequests):
        limits.count_address("203.0.113.7")
    limits.count_address("203.0.113.8")


def test_addresses_of_one_ipv6_network_count_together() -> None:
    limits = PanelLimits(SetClock(), 0.02)
    limits.count_address("2001:db8::1")
    with pytest.raises(TooManyRequests):
        limits.count_address("2001:db8::2")
    limits.count_address("2001:db8:0:1::1")


def test_zero_sets_no_limit() -> None:
    limits = PanelLimits(SetClock(), 0)
    for _ in range(1_000):
        limits.count_user("ana")
        limits.count_address(None)
