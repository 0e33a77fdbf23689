"""Each named query is called with exactly the parameters that its text names."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.database.queries import queries_in

GATEWAY = Path(__file__).parents[2] / "gateway"
CALLERS = {"fetch_all", "fetch_one", "fetch_dicts", "execute"}
PARAMETER = re.compile(r"%\((\w+)\)s")

Call = tuple[str, str, str, frozenset[str]]


def test_queries_are_called_with_the_parameters_they_name() -> None:
    calls = [call for path in sorted(GATEWAY.rglob("*.py")) for call in _calls_in(path)]

    wrong = [
        f"{where}: {module}/{name} takes {sorted(_parameters(module, name))}, gets {sorted(given)}"
        for where, module, name, given in calls
        if given != _parameters(module, name)
    ]

    assert len(calls) > 150, "the calls were not found"
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("call", ["execute(_ONE, id=1)", "fetch_all(Row, _ONE, id=1, limit=2)"])
def test_calls_are_found_with_their_parameters(call: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(f'_ONE = query("sessions", "one")\nasync def f():\n    await d.{call}\n')

    (found,) = _calls_in(path)

    assert found[1:3] == ("sessions", "one")
    assert found[3] == set(re.findall(r"(\w+)=", call))


def _parameters(module: str, name: str) -> frozenset[str]:
    return frozenset(PARAMETER.findall(queries_in(module)[name].as_string()))


def _calls_in(path: Path) -> Iterator[Call]:
    tree = ast.parse(path.read_text())
    queries = dict(_queries_named_in(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or _name_of(node.func) not in CALLERS:
            continue
        used = [a.id for a in node.args if isinstance(a, ast.Name) and a.id in queries]
        spread = any(keyword.arg is None for keyword in node.keywords)
        given = frozenset(k.arg for k in node.keywords if k.arg)
        as_mapping = not given and len(node.args) > 1
        if used and not spread and not as_mapping:
            yield f"{path.name}:{node.lineno}", *queries[used[0]], given


def _queries_named_in(tree: ast.Module) -> Iterator[tuple[str, tuple[str, str]]]:
    for node in tree.body:
        if isinstance(node, ast.AnnAssign):
            target: ast.expr | None = node.target
        else:
            target = node.targets[0] if isinstance(node, ast.Assign) else None
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.Call):
            arguments = [a.value for a in value.args if isinstance(a, ast.Constant)]
            if _name_of(value.func) == "query" and len(arguments) == 2:
                yield target.id, (str(arguments[0]), str(arguments[1]))


def _name_of(function: ast.expr) -> str:
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""
