"""A receiver that fails now and then gets everything in order; one that is down gets few posts.

The short form of `tests.campaigns.flaky_receiver`.
"""

from dataclasses import replace

from gateway.webhooks.backoff import RetrySchedule
from tests.campaigns.flaky_receiver import TRIALS, attempt
from tests.fixtures.patience import PATIENCE_SECONDS

QUICK = RetrySchedule(lambda low, _high: low, base_seconds=0.02)
EVERY_THIRD, RANDOM_THIRD, _ONE_CHAT_DOWN, DOWN = TRIALS


async def test_receiver_that_fails_every_third_post_gets_all_in_order(database_url: str) -> None:
    trial = replace(EVERY_THIRD, per_chat=30, max_seconds=PATIENCE_SECONDS)

    found = await attempt(database_url, trial, QUICK)

    assert (found.delivered, found.in_order) == (30, True)
    assert found.posts == 30 + 14  # the post after a failed one succeeds


async def test_receiver_that_fails_at_random_gets_all_in_order(database_url: str) -> None:
    trial = replace(RANDOM_THIRD, per_chat=30, max_seconds=PATIENCE_SECONDS)

    found = await attempt(database_url, trial, QUICK)

    assert (found.delivered, found.in_order) == (30, True)
    assert found.posts > 30


async def test_many_chats_do_not_hammer_a_receiver_that_is_down(database_url: str) -> None:
    trial = replace(DOWN, chats=200, max_seconds=2.0)

    found = await attempt(database_url, trial, QUICK)

    assert found.delivered == 0
    assert 10 <= found.posts < 100
