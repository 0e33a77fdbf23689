"""Each failure leads to the outcome that the table in `outcome.py` states."""

from datetime import UTC, datetime, timedelta

import pytest

from gateway.clock import Clock
from gateway.errors import NotConnected, Reach, Refused, Restricted, TryAgainLater, Unconfirmed
from gateway.send_queue.outcome import (
    Failed,
    HandedBack,
    Held,
    Outcome,
    Retried,
    RetryPolicy,
    Withheld,
    outcome_of,
)
from gateway.send_queue.pacing import Backoff
from gateway.sessions.provider import SendFailure

UNTIL = datetime(2030, 1, 1, tzinfo=UTC)
FIRST, SECOND, LAST, BEYOND = 1, 2, 3, 4
BEFORE = UNTIL - timedelta(seconds=90)


class StandingClock(Clock):
    def now(self) -> datetime:
        return BEFORE


POLICY = RetryPolicy(
    Backoff(base_seconds=5.0, cap_seconds=300.0), lambda _low, high: high, StandingClock()
)

BUSY = TryAgainLater("busy")
BUSY_FOR_A_WHILE = TryAgainLater("busy", after_seconds=42.0)
BUSY_NO_LONGER = TryAgainLater("busy", after_seconds=0.0)
SILENT = Unconfirmed("silent")


def outcome(
    failure: SendFailure, attempts: int, *, can_repeat: bool, deferrals: int = 0
) -> Outcome:
    return outcome_of(
        failure,
        attempts=attempts,
        max_attempts=LAST,
        can_repeat_send=can_repeat,
        policy=POLICY,
        deferrals=deferrals,
    )


@pytest.mark.parametrize("can_repeat", [True, False])
@pytest.mark.parametrize("attempts", [FIRST, LAST, BEYOND])
@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (NotConnected("gone"), HandedBack()),
        (Restricted("quiet", until=UNTIL), Held(UNTIL, "quiet")),
        (
            Restricted("quiet", until=UNTIL, reach=Reach.FIRST_CONTACTS),
            Withheld(UNTIL, "quiet"),
        ),
        (
            Restricted("quiet", until=UNTIL, reach=Reach.CHAT),
            Retried(90.0, "restricted", "quiet", counts=False),
        ),
        (
            TryAgainLater("busy", after_seconds=90.0, reach=Reach.QUEUE, counts=False),
            Held(UNTIL, "busy"),
        ),
        (Refused("no"), Failed("refused", "no")),
    ],
)
def test_outcome_ignores_attempts_for_final_failures(
    failure: SendFailure, expected: Outcome, attempts: int, *, can_repeat: bool
) -> None:
    assert outcome(failure, attempts, can_repeat=can_repeat) == expected


@pytest.mark.parametrize("can_repeat", [True, False])
@pytest.mark.parametrize(
    ("failure", "attempts", "expected"),
    [
        (BUSY, FIRST, Retried(5.0, "transient", "busy")),
        (BUSY, SECOND, Retried(10.0, "transient", "busy")),
        (BUSY, LAST, Failed("transient", "busy")),
        (BUSY, BEYOND, Failed("transient", "busy")),
        (BUSY_FOR_A_WHILE, FIRST, Retried(42.0, "transient", "busy")),
        (BUSY_FOR_A_WHILE, LAST, Failed("transient", "busy")),
        (BUSY_NO_LONGER, SECOND, Retried(0.0, "transient", "busy")),
    ],
)
def test_passing_failure_is_retried_while_attempts_are_left(
    failure: SendFailure, attempts: int, expected: Outcome, *, can_repeat: bool
) -> None:
    assert outcome(failure, attempts, can_repeat=can_repeat) == expected


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        (FIRST, Retried(5.0, "unconfirmed", "silent")),
        (SECOND, Retried(10.0, "unconfirmed", "silent")),
        (LAST, Failed("unconfirmed", "silent")),
        (BEYOND, Failed("unconfirmed", "silent")),
    ],
)
def test_unconfirmed_attempt_is_retried_if_sends_can_repeat(
    attempts: int, expected: Outcome
) -> None:
    assert outcome(SILENT, attempts, can_repeat=True) == expected


@pytest.mark.parametrize("attempts", [FIRST, SECOND, LAST, BEYOND])
def test_unconfirmed_attempt_fails_if_sends_cannot_repeat(attempts: int) -> None:
    assert outcome(SILENT, attempts, can_repeat=False) == Failed(
        "unconfirmed", "unconfirmed: silent"
    )


@pytest.mark.parametrize(("deferrals", "seconds"), [(0, 5.0), (1, 10.0), (2, 20.0), (9, 300.0)])
def test_pause_grows_with_attempts_that_do_not_count(deferrals: int, seconds: float) -> None:
    busy = TryAgainLater("busy", counts=False)

    assert outcome(busy, LAST, can_repeat=False, deferrals=deferrals) == Retried(
        seconds, "transient", "busy", counts=False
    )


@pytest.mark.parametrize(
    ("attempts", "expected"),
    [
        (FIRST, Held(BEFORE + timedelta(seconds=5.0), "busy", counts=True)),
        (LAST, Failed("transient", "busy")),
    ],
)
def test_passing_failure_of_the_queue_counts_if_it_says_so(
    attempts: int, expected: Outcome
) -> None:
    busy = TryAgainLater("busy", reach=Reach.QUEUE)

    assert outcome(busy, attempts, can_repeat=False) == expected


def test_passing_failure_without_an_end_reaches_no_first_contacts() -> None:
    with pytest.raises(ValueError, match="because it has an end"):
        TryAgainLater("busy", reach=Reach.FIRST_CONTACTS)
