"""Each failure leads to the outcome that the table in `outcome.py` states."""

from datetime import UTC, datetime

import pytest

from gateway.errors import NotConnected, Refused, Restricted, TryAgainLater, Unconfirmed
from gateway.send_queue.outcome import (
    Failed,
    HandedBack,
    Held,
    Outcome,
    Retried,
    RetryPolicy,
    outcome_of,
)
from gateway.send_queue.pacing import Backoff
from gateway.sessions.provider import SendFailure

UNTIL = datetime(2030, 1, 1, tzinfo=UTC)
FIRST, SECOND, LAST, BEYOND = 1, 2, 3, 4
POLICY = RetryPolicy(Backoff(base_seconds=5.0, cap_seconds=300.0), lambda _low, high: high)

BUSY = TryAgainLater("busy")
BUSY_FOR_A_WHILE = TryAgainLater("busy", after_seconds=42.0)
BUSY_NO_LONGER = TryAgainLater("busy", after_seconds=0.0)
SILENT = Unconfirmed("silent")


def outcome(failure: SendFailure, attempts: int, *, can_repeat: bool) -> Outcome:
    return outcome_of(
        failure, attempts=attempts, max_attempts=LAST, can_repeat_send=can_repeat, policy=POLICY
    )


@pytest.mark.parametrize("can_repeat", [True, False])
@pytest.mark.parametrize("attempts", [FIRST, LAST, BEYOND])
@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (NotConnected("gone"), HandedBack()),
        (Restricted("quiet", until=UNTIL), Held(UNTIL, "quiet")),
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
