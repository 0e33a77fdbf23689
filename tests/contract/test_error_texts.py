"""Error texts of each route are in words of the API, not of the program."""

import copy
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.documents.json_schemas import Schemas
from gateway.documents.surface import Entry, surface
from gateway.errors import InvalidRequest

ENTRIES = [entry for entry in surface(catalogue()) if entry.main is None]
SCHEMAS = Schemas({entry.declared: None for entry in ENTRIES})
WRONG: tuple[Any, ...] = (
    *([], [[]], [{}], {}, {"not": "it"}, True, "", "?!", "x" * 5_000, "\u0663" * 6),
    *(-1, 1.5, 10**30, float("inf"), "2026-01-31", ["x"] * 60_000),
)
INTERNAL = re.compile(
    r"Input|String|Tuple|\bList\b|Dict|Value error|should|[Pp]attern|[Pp]ars|UUID|[Pp]ydantic"
    r"|validation|\^|\$|\\|\[|\{"
)


def sentences(entry: Entry) -> Iterator[str]:
    fields: Mapping[str, Any] = SCHEMAS.fields(entry.declared).get("properties", {})
    for body in ({}, *(changed(entry, name, value) for name in fields for value in WRONG)):
        try:
            build(entry.declared, body)
        except InvalidRequest as error:
            yield str(error)


def changed(entry: Entry, name: str, value: Any) -> dict[str, Any]:
    return {**copy.deepcopy(dict(entry.declared.example)), name: value}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.method} {entry.path}")
def test_error_text_has_no_word_of_the_program(entry: Entry) -> None:
    for sentence in sentences(entry):
        assert not INTERNAL.search(sentence), sentence
        assert len(sentence) < 300
        assert sentence == "Invalid phone" or re.match(
            r"(The body|[\w.]+): (must|is|takes|has|give) ", sentence
        ), sentence


@pytest.mark.parametrize(
    ("method", "path", "changes", "sentence"),
    [
        (
            "POST",
            "/mobile/registration-available",
            {"ddi": "0"},
            "ddi: must be a country code such as 55",
        ),
        (
            "POST",
            "/business/hours",
            {"timezone": "?"},
            "timezone: must be a time zone such as America/Sao_Paulo",
        ),
        (
            "POST",
            "/business/company-websites",
            {"websites": ["https://example.com"] * 3},
            "websites: must have at most 2 items, not 3",
        ),
        (
            "PUT",
            "/queue/settings",
            {"paceMaxSeconds": 86_401},
            "paceMaxSeconds: must be at most 86400",
        ),
        (
            "POST",
            "/send-poll",
            {"pollMaxOptions": -1},
            "pollMaxOptions: must be at least 0",
        ),
    ],
)
def test_error_text_says_what_the_value_must_be(
    method: str, path: str, changes: dict[str, Any], sentence: str
) -> None:
    (entry,) = (e for e in ENTRIES if (e.method, e.path) == (method, path))
    with pytest.raises(InvalidRequest) as caught:
        build(entry.declared, {**entry.declared.example, **changes})
    assert str(caught.value) == sentence


def test_pattern_is_shown_in_the_document() -> None:
    (entry,) = (e for e in ENTRIES if e.path == "/business/hours")
    timezone = SCHEMAS.fields(entry.declared)["properties"]["timezone"]
    assert timezone["pattern"].startswith("^[A-Za-z]+")
