"""A replay of callbacks in several requests: what is left of it, as a form and a cookie hold it."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, tzinfo
from typing import Any, Final

import orjson

from gateway.contract.extensions.replay import Replayed
from gateway.errors import InvalidRequest
from gateway.panel.forms import Form

_MAX_COOKIE_LENGTH: Final = 2_000


@dataclass(frozen=True, slots=True)
class ReplayJob:
    """The span of time that is left.

    `webhook` is "own", an id, or empty for all; no `types` stand for all. `done` and `total` are
    callbacks: those that were posted, and those that the whole span has.
    """

    instance_id: str
    since: datetime
    until: datetime
    types: Sequence[str]
    webhook: str
    done: int
    total: int

    def after(self, answer: Replayed) -> "ReplayJob | None":
        """Returns what is left after an answer; None where it was the last part.

        A part that did not move the time would repeat itself for ever.
        """
        done = self.done + answer.replayed
        if answer.continue_from is None or answer.continue_from <= self.since:
            return None
        return replace(self, since=answer.continue_from, done=done)

    def as_cookie(self) -> str:
        return base64.urlsafe_b64encode(orjson.dumps(asdict(self))).decode()


def job_of_form(
    form: Form, instance_id: str, *, zone: tzinfo, now: datetime, total: int
) -> ReplayJob:
    """Returns what a form asks for; without an end until now, which stays the end.

    Raises:
        InvalidRequest: a time cannot be read.
    """
    since = read_time(form.text("from"), zone)
    if since is None:
        raise InvalidRequest("from: is required")
    return ReplayJob(
        instance_id,
        since,
        read_time(form.text("to"), zone) or now,
        form.all("type"),
        form.text("webhook"),
        form.number("done") or 0,
        form.number("total") or total,
    )


def job_of_cookie(cookies: Mapping[str, str], name: str, instance_id: str) -> ReplayJob | None:
    """Returns what an earlier request left; None where there is nothing, or of another number."""
    text = cookies.get(name, "")
    if not text or len(text) > _MAX_COOKIE_LENGTH:
        return None
    try:
        return _read(orjson.loads(base64.urlsafe_b64decode(text)), instance_id)
    except (binascii.Error, KeyError, TypeError, ValueError):
        return None


def _read(stored: Mapping[str, Any], instance_id: str) -> ReplayJob | None:
    since = datetime.fromisoformat(stored["since"])
    until = datetime.fromisoformat(stored["until"])
    is_known = stored["instance_id"] == instance_id and since.tzinfo and until.tzinfo
    if not is_known:
        return None
    return ReplayJob(
        instance_id,
        since,
        until,
        [str(each) for each in stored["types"]],
        str(stored["webhook"]),
        int(stored["done"]),
        int(stored["total"]),
    )


def read_time(text: str, zone: tzinfo) -> datetime | None:
    """Returns the time of a field; one without an offset is in *zone*.

    Raises:
        InvalidRequest: it is no time.
    """
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=zone)
    except ValueError:
        raise InvalidRequest("from, to: must be a date and a time") from None
