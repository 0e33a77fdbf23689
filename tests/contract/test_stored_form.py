"""Stored messages stay readable, and keep their meaning in each later version.

A golden file may get further cases. An existing case is never edited: a change that fails here
would change the meaning of messages that wait in a queue.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.send import STORED_VERSION

GOLDEN = Path(__file__).parent / "golden"
FILES = {file.stem: json.loads(file.read_text(encoding="utf-8")) for file in GOLDEN.glob("*.json")}
CASES = [
    pytest.param(golden["type"], case, id=f"{golden['type']}: {case['name']}")
    for _, golden in sorted(FILES.items())
    for case in golden["cases"]
]


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_request_is_stored_as_in_the_golden_file(kind: str, case: dict[str, Any]) -> None:
    message = build(catalogue().sends[kind], case["request"])

    assert json.loads(message.model_dump_json(exclude_none=True)) == case["stored"]


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_stored_message_equals_its_request(kind: str, case: dict[str, Any]) -> None:
    send = catalogue().sends[kind]

    assert send.model_validate(case["stored"]) == build(send, case["request"])


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_stored_message_is_sent_unchanged(kind: str, case: dict[str, Any]) -> None:
    message = catalogue().sends[kind].model_validate(case["stored"])

    assert message.model_dump(mode="json", by_alias=True, exclude_none=True) == case["sent"]


@pytest.mark.parametrize(("kind", "case"), CASES)
def test_message_stored_twice_is_unchanged(kind: str, case: dict[str, Any]) -> None:
    message = catalogue().sends[kind].model_validate(case["stored"])

    assert json.loads(message.model_dump_json(exclude_none=True)) == case["stored"]


def test_golden_file_is_named_after_its_type() -> None:
    assert FILES
    for name, golden in FILES.items():
        assert golden["type"] == name
        assert golden["version"] <= STORED_VERSION
        assert name in catalogue().sends, f"rows of type {name} could no longer be read"
