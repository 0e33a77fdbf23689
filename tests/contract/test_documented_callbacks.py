"""Our callbacks through the eyes of a consumer stricter than any: what Z-API shows, exactly.

`documented/callbacks.schemas.json` is every example of Z-API's pages as a JSON Schema: each key
required, of the type shown, and no other allowed. What differs is printed, and nothing may differ
without a reason.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from jsonschema import Draft202012Validator
from openapi_schema_validator import OAS31Validator

from gateway.contract.catalogue import catalogue
from gateway.documents.openapi import render_openapi

HERE = Path(__file__).parent
GOLDEN = HERE / "golden" / "callbacks"
OPENAPI: Final = render_openapi(catalogue())
DOCUMENTED: Final = json.loads((HERE / "documented" / "callbacks.schemas.json").read_text())

NULL = "null there: a key without a value is left out"
KNOWN = "present whenever it is known, not only on some of the pages"
ALWAYS = "every callback has the same common keys"
SEVERAL = "only where a chat has several people"
PICTURE = "present once it was looked up, which no callback waits for"

DEVIATIONS: Final[dict[str, dict[str, str]]] = {
    "left out": {
        "chatName": "of a list, that no session names",
        "participantPhone": SEVERAL,
        "photo": PICTURE,
        "senderPhoto": PICTURE,
    },
    "added": {
        "chatLid": KNOWN,
        "chatName": KNOWN,
        "connectedPhone": ALWAYS,
        "forwarded": ALWAYS,
        "fromApi": ALWAYS,
        "isEdit": ALWAYS,
        "isStatusReply": ALWAYS,
        "messageExpirationSeconds": "0 where messages do not disappear, not only on some pages",
        "messageId": "the first of `ids`, for consumers that read one",
        "momment": "every callback that has a time tells it",
        "participantLid": KNOWN,
        "phone": KNOWN,
        "senderLid": KNOWN,
        "waitingMessage": ALWAYS,
    },
}


def differences(name: str) -> Iterator[tuple[str, str]]:
    """How a golden callback differs from the example of Z-API: what happened to which key."""
    body = json.loads((GOLDEN / f"{name}.json").read_text())
    for error in Draft202012Validator(DOCUMENTED[name]).iter_errors(body):
        path = ".".join("[]" if isinstance(p, int) else p for p in error.absolute_path)
        shown: Any = error.schema
        match error.validator:
            case "required":
                for key in set(error.validator_value) - error.instance.keys():
                    is_null = shown["properties"][key] == {"type": "null"}
                    yield "null" if is_null else "left out", f"{path}.{key}".lstrip(".")
            case "additionalProperties":
                for key in error.instance.keys() - shown["properties"].keys():
                    yield "added", f"{path}.{key}".lstrip(".")
            case "type" if error.validator_value == "null":
                yield "null", path
            case other:
                yield f"{other} {error.validator_value}", path


def table() -> dict[tuple[str, str], set[str]]:
    found: dict[tuple[str, str], set[str]] = {}
    for name in DOCUMENTED:
        for difference in differences(name):
            found.setdefault(difference, set()).add(name)
    return found


def reason_for(what: str, key: str) -> str | None:
    return NULL if what == "null" else DEVIATIONS.get(what, {}).get(key)


def test_callback_differs_from_the_documents_only_with_a_reason(
    capsys: pytest.CaptureFixture[str],
) -> None:
    found = table()
    lines = [
        f"{what:9} {key:48} {len(names):9}  {reason_for(what, key)}"
        for (what, key), names in sorted(found.items())
    ]
    with capsys.disabled():
        sys.stdout.write("\n".join(["", f"{'what':9} {'key':48} callbacks  why", *lines, ""]))
    assert {d: names for d, names in found.items() if reason_for(*d) is None} == {}


def test_every_reason_is_still_needed() -> None:
    listed = {(what, key) for what, keys in DEVIATIONS.items() for key in keys}
    assert listed <= table().keys()


def test_documented_example_has_a_golden_callback() -> None:
    golden = {file.stem for file in GOLDEN.glob("*.json")}
    assert len(DOCUMENTED) == 65
    assert DOCUMENTED.keys() <= golden


@pytest.mark.parametrize(
    "file", sorted((HERE / "golden" / "callbacks").glob("*.json")), ids=lambda file: file.stem
)
def test_golden_callback_fits_the_openapi_document(file: Path) -> None:
    body = json.loads(file.read_text())
    operation = OPENAPI["webhooks"][body["type"]]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": OPENAPI["components"]}
    assert [error.message for error in OAS31Validator(whole).iter_errors(body)] == []
