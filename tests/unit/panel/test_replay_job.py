"""A replay in several requests goes on where it was left, and ends."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from gateway.contract.extensions.replay import Replayed
from gateway.errors import InvalidRequest
from gateway.panel.forms import Form
from gateway.panel.replay_job import ReplayJob, job_of_cookie, job_of_form, read_time

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
JOB = ReplayJob("A1", NOON, NOON + 2 * HOUR, ["ReceivedCallback"], "own", 5, 9)


def test_part_that_is_left_begins_after_the_answer() -> None:
    left = JOB.after(Replayed(replayed=3, continue_from=NOON + HOUR))
    assert left == ReplayJob("A1", NOON + HOUR, JOB.until, JOB.types, "own", 8, 9)


@pytest.mark.parametrize("continue_from", [None, NOON])
def test_nothing_is_left_where_the_time_does_not_move(continue_from: datetime | None) -> None:
    assert JOB.after(Replayed(replayed=3, continue_from=continue_from)) is None


def test_cookie_holds_what_is_left() -> None:
    assert job_of_cookie({"left": JOB.as_cookie()}, "left", "A1") == JOB


@pytest.mark.parametrize(
    "text", ["", "?", "bnVsbA==", "e30=", "W10=", "eyJzaW5jZSI6MX0=", "A" * 3_000]
)
def test_damaged_cookie_is_none(text: str) -> None:
    assert job_of_cookie({"left": text}, "left", "A1") is None


def test_cookie_of_another_number_is_none() -> None:
    assert job_of_cookie({"left": JOB.as_cookie()}, "left", "B2") is None


def test_end_is_fixed_where_the_form_has_none() -> None:
    form = Form({"from": ["2026-01-31T09:00"], "type": ["ReceivedCallback"]})
    zone = ZoneInfo("America/Sao_Paulo")

    job = job_of_form(form, "A1", zone=zone, now=NOON + HOUR, total=7)

    assert (job.since, job.until, job.total) == (NOON, NOON + HOUR, 7)


def test_form_without_a_beginning_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        job_of_form(Form({}), "A1", zone=UTC, now=NOON, total=0)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01T00:00"])
def test_text_that_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        read_time(text, UTC)
