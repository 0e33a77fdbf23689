"""A class name means one thing in the whole program, and shadows none that everybody knows."""

import ast
import typing
from collections import defaultdict
from pathlib import Path

import starlette.requests
import starlette.responses
import starlette.routing
import starlette.types

GATEWAY = Path(__file__).parents[2] / "gateway"


def test_public_class_names_are_unique() -> None:
    places = defaultdict(list)
    for path in sorted(GATEWAY.rglob("*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(path.relative_to(GATEWAY).as_posix())

    assert {name: where for name, where in places.items() if len(where) > 1} == {}
    assert len(places) > 500, "the classes were not found"


def test_no_class_shadows_typing_or_starlette() -> None:
    known = set(typing.__all__)
    known |= {name for name in vars(starlette.types) if name[0].isupper()}
    for module in (starlette.requests, starlette.responses, starlette.routing):
        known |= {name for name, value in vars(module).items() if isinstance(value, type)}

    shadowing = {
        f"{path.relative_to(GATEWAY)}: {node.name}"
        for path in GATEWAY.rglob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name in known
    }

    assert shadowing == set()


def test_no_module_shadows_the_standard_library_at_the_top() -> None:
    names = {path.stem for path in GATEWAY.glob("*.py")}

    assert names.isdisjoint({"random", "queue", "secrets", "time", "logging", "types"})
