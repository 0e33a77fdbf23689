"""Each named query is called with exactly the parameters that its text names."""

import re
from pathlib import Path

import pytest

from gateway.database.queries import queries_in
from tests.fixtures.query_calls import query_calls, query_calls_in

PARAMETER = re.compile(r"%\((\w+)\)s")


def test_queries_are_called_with_the_parameters_they_name() -> None:
    calls = [(call, call.parameters) for call in query_calls() if call.parameters is not None]

    wrong = [
        f"{call.where} takes {sorted(named)}, gets {sorted(given)}"
        for call, given in calls
        if given != (named := _parameters(call.file, call.query))
    ]

    assert len(calls) > 150, "the calls were not found"
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("call", ["execute(_ONE, id=1)", "fetch_all(Row, _ONE, id=1, limit=2)"])
def test_calls_are_found_with_their_parameters(call: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(f'_ONE = query("sessions", "one")\nasync def f():\n    await d.{call}\n')

    (found,) = query_calls_in(path)

    assert (found.file, found.query) == ("sessions", "one")
    assert found.parameters == frozenset(re.findall(r"(\w+)=", call))
    assert found.row == ("Row" if "Row" in call else None)


def _parameters(file: str, query: str) -> frozenset[str]:
    return frozenset(PARAMETER.findall(queries_in(file)[query].as_string()))
