"""The log of an outage is bounded: a line when it begins, then counts."""

import logging
from typing import Any

from gateway.observability.repeats import RepeatFilter


class Outage:
    def __init__(self) -> None:
        self.seconds = 0.0
        self._filter = RepeatFilter(lambda: self.seconds)

    def log(self, message: Any, name: str = "gateway") -> Any:
        """Returns what is logged; None where the line is left out."""
        record = logging.LogRecord(name, logging.WARNING, "", 0, message, (), None)
        return record.msg if self._filter.filter(record) else None

    def event(self, event: str, component: str, **fields: object) -> Any:
        return self.log({"event": event, "component": component, **fields})


def test_outage_of_many_instances_is_one_line_and_counts() -> None:
    outage = Outage()
    lines = []
    for outage.seconds in range(61):
        lines += [outage.event("database_unavailable", "session", instance_id=n) for n in range(9)]
    logged = [line for line in lines if line]

    assert [line.get("repeated") for line in logged] == [None, 269, 269]


def test_end_of_an_outage_counts_what_was_left_out() -> None:
    outage = Outage()
    for _ in range(3):
        outage.event("database_unavailable", "schedule")
        outage.event("database_unavailable", "leases")
        outage.log("error connecting in 'pool-1': refused", "psycopg.pool")
    ends = [outage.event("database_available", name) for name in ("schedule", "leases", "leases")]

    assert [end.get("repeated") for end in ends] == [4, 2, None]
    assert outage.event("database_unavailable", "schedule").get("repeated") is None


def test_lines_of_the_driver_are_counted_in_their_text() -> None:
    outage = Outage()
    lines = []
    for outage.seconds in (0.0, 10.0, 20.0, 30.0):
        lines.append(outage.log("error connecting", "psycopg.pool"))

    assert lines == ["error connecting", None, None, "error connecting (repeated 2 times)"]


def test_other_lines_are_never_left_out() -> None:
    outage = Outage()

    assert [outage.event("attempt_ended", "worker") for _ in range(2)]
    assert outage.log("a library's text", "other")
    assert outage.log("a library's text", "other")
