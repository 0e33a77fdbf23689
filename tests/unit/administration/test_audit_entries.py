"""The audit log as lines: nothing in a cell runs as a formula."""

import csv
import io
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import orjson

from gateway.administration.audit_entries import ActFilter, AuditEntries, AuditFormat
from gateway.contract.extensions.account import Act


class Log:
    """Has 1,001 entries, by descending id; the user of each is a formula."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def fetch_all(
        self, row: Any, _statement: object, *, before: int, limit: int, **_rest: object
    ) -> Sequence[Any]:
        self.asked.append(before)
        newest = min(1_001, before - 1)
        return [
            row(
                id=number,
                at=datetime(2026, 1, 1, tzinfo=UTC),
                instance_id=None,
                act="Rename",
                address="203.0.113.7",
                credential="session",
                user_name="=1+1",
                outcome="done",
                details={"after": {"name": "x"}},
            )
            for number in range(newest, max(0, newest - limit), -1)
        ]


async def written(form: AuditFormat) -> tuple[str, Log]:
    log = Log()
    entries = AuditEntries(cast("Any", log), 90)
    pieces = [piece async for piece in entries.lines("acme", ActFilter(), form)]
    return b"".join(pieces).decode(), log


async def test_csv_has_every_entry_once_and_no_formula() -> None:
    text, log = await written("csv")

    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 1_001
    assert set(rows[0]) == set(Act.model_fields)
    assert {row["user"] for row in rows} == {"'=1+1"}
    assert rows[0]["after"] == '{"name":"x"}'
    assert log.asked[1:] == [802, 602, 402, 202, 2, 1], "by id, so that new entries shift no page"


async def test_json_lines_have_the_names_of_the_api() -> None:
    text, _log = await written("jsonl")

    lines = [orjson.loads(line) for line in text.splitlines()]
    assert len(lines) == 1_001
    assert lines[0]["instanceId"] is None
    assert lines[0]["user"] == "=1+1"
