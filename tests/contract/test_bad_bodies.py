"""The error text of a wrong body, for each message type: it names the field."""

import copy
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import pytest

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.send import OutgoingMessage
from gateway.documents.json_schemas import Schemas
from gateway.errors import InvalidRequest

SENDS = [send for _, send in sorted(catalogue().sends.items())]
SCHEMAS = Schemas(SENDS)
Path = tuple[str | int, ...]
_WRONG: Mapping[str, Any] = {
    "array": 7,
    "boolean": "perhaps",
    "integer": "many",
    "number": "many",
    "object": 7,
    "string": {"not": "a text"},
}
_MAX_TRIED_LENGTH = 100_000  # files may be longer than a test should be


def fields(schema: Mapping[str, Any], value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every field that *value* shows, with its schema; the first item stands for a list."""
    schema = SCHEMAS.resolve(dict(schema))
    if isinstance(value, dict):
        for name, item in value.items():
            described = SCHEMAS.resolve(schema["properties"][name])
            yield (*path, name), {**described, "required": name in schema.get("required", ())}
            yield from fields(schema["properties"][name], item, (*path, name))
    elif isinstance(value, list | tuple) and value:
        yield from fields(schema["items"], value[0], (*path, 0))


def body_with(send: type[OutgoingMessage], path: Path, change: Any) -> dict[str, Any]:
    """The full example with one field changed, or gone where *change* is None."""
    body: Any = copy.deepcopy(dict(send.example))
    at = body
    for part in path[:-1]:
        at = at[part]
    if change is None:
        del at[path[-1]]
    else:
        at[path[-1]] = change
    return dict(body)


class Case(NamedTuple):
    """One field that a full example shows."""

    send: type[OutgoingMessage]
    path: Path
    schema: Mapping[str, Any]

    @property
    def name(self) -> str:
        return ".".join(map(str, self.path))


CASES = [
    Case(send, path, schema)
    for send in SENDS
    for path, schema in fields(SCHEMAS.fields(send), send.example)
]


def every(wanted: Callable[[Mapping[str, Any]], bool]) -> pytest.MarkDecorator:
    cases = [case for case in CASES if wanted(case.schema)]
    return pytest.mark.parametrize("case", cases, ids=[f"{c.send.kind()} {c.name}" for c in cases])


def error_text(case: Case, change: Any) -> str:
    with pytest.raises(InvalidRequest) as caught:
        build(case.send, body_with(case.send, case.path, change))
    return str(caught.value)


@every(lambda _schema: True)
def test_value_of_a_wrong_type_names_its_field(case: Case) -> None:
    text = error_text(case, _WRONG[case.schema.get("type", "string")])
    assert text == "Invalid phone" or text.startswith(f"{case.name}: must")


@every(lambda schema: schema["required"])
def test_missing_required_field_is_named(case: Case) -> None:
    assert error_text(case, None) == f"{case.name}: is required"


@every(lambda schema: schema.get("maxLength", _MAX_TRIED_LENGTH) < _MAX_TRIED_LENGTH)
def test_text_too_long_names_its_field(case: Case) -> None:
    max_count = case.schema["maxLength"]
    text = error_text(case, "x" * (max_count + 1))
    assert text == f"{case.name}: must be at most {max_count} characters, not {max_count + 1}"


@every(lambda schema: "minItems" in schema)
def test_empty_list_names_its_field(case: Case) -> None:
    assert error_text(case, []) == f"{case.name}: must not be empty"


@every(lambda schema: "enum" in schema)
def test_unknown_choice_lists_the_choices(case: Case) -> None:
    text = error_text(case, "whatever")
    assert all(choice in text for choice in case.schema["enum"])


@pytest.mark.parametrize(
    ("kind", "changes", "sentence"),
    [
        ("send-location", {"latitude": "91"}, "latitude: must be a number from -90 to 90"),
        ("send-location", {"longitude": "east"}, "longitude: must be a number from -180 to 180"),
        (
            "send-button-actions",
            {"buttonActions": [{"type": "CALL", "label": "Call"}]},
            "buttonActions.0.phone: is required",
        ),
        (
            "send-button-actions",
            {"buttonActions": [{"type": "URL", "label": "Open"}]},
            "buttonActions.0.url: is required",
        ),
        (
            "send-button-actions",
            {"buttonActions": [{"type": "URL", "label": "Open", "url": "example.com"}]},
            "buttonActions.0.url: must start with http:// or https://",
        ),
        (
            "send-button-list",
            {"buttonList": {"buttons": [{"label": "A"}], "image": "a", "video": "b"}},
            "buttonList: takes an image or a video, not both",
        ),
        (
            "pin-message",
            {"messageAction": "pin", "pinMessageDuration": None},
            "pinMessageDuration: is required",
        ),
        ("send-catalog", {"catalogPhone": "120363019502650977-group"}, "Invalid phone"),
        ("send-poll", {"pollMaxOptions": -1}, "pollMaxOptions: must be at least 0"),
    ],
)
def test_rule_across_fields_names_its_field(
    kind: str, changes: Mapping[str, Any], sentence: str
) -> None:
    send = catalogue().sends[kind]
    with pytest.raises(InvalidRequest) as caught:
        build(send, {**send.example, **changes})
    assert str(caught.value) == sentence


@pytest.mark.parametrize("zone", ["Brasilia", "UTC-15", "UTC-3:75", "-3"])
def test_time_zone_without_an_offset_is_refused(zone: str) -> None:
    send = catalogue().sends["send-event"]
    event = {**send.example["event"], "timeZone": zone}
    with pytest.raises(InvalidRequest, match=r"event.timeZone: must be an offset such as UTC-3"):
        build(send, {**send.example, "event": event})
