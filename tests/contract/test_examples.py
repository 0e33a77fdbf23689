import copy
import json
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from pydantic import TypeAdapter

from gateway.contract.catalogue import catalogue
from gateway.contract.operation import Operation
from gateway.contract.send import Queued
from gateway.documents.json_schemas import Schemas, answer_type
from gateway.documents.surface import Declared, Entry, shown_answer, surface

ENTRIES = [entry for entry in surface(catalogue()) if entry.main is None]
DECLARED: list[Declared] = [entry.declared for entry in ENTRIES]
SCHEMAS = Schemas(DECLARED)

every_class = pytest.mark.parametrize("declared", DECLARED, ids=lambda kind: kind.__name__)
every_operation = pytest.mark.parametrize(
    "operation",
    [kind for kind in DECLARED if issubclass(kind, Operation)],
    ids=lambda kind: kind.__name__,
)


def closed(schema: Any) -> Any:
    """The same schema, for which a key it does not describe is wrong."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(item) for name, item in schema.items()}
    if isinstance(found.get("properties"), dict):
        found.setdefault("additionalProperties", False)
    return found


CLOSED_COMPONENTS = closed(copy.deepcopy(SCHEMAS.components))


def complaints(schema: dict[str, Any], example: object) -> list[str]:
    document = {**closed(schema), "components": {"schemas": CLOSED_COMPONENTS}}
    plain = json.loads(json.dumps(example))
    return [error.message for error in OAS31Validator(document).iter_errors(plain)]


@every_class
def test_declared_class_has_a_summary_of_one_line(declared: Declared) -> None:
    entry = Entry(declared, "POST", "/")
    assert entry.summary, f"{declared.__name__} needs a docstring"
    assert entry.summary.endswith("."), f"the first line of {declared.__name__} is a sentence"


@every_class
def test_class_with_fields_has_an_example(declared: Declared) -> None:
    shown = set(declared.model_fields) - set(Entry(declared, "POST", "/").header_fields)
    assert declared.example or not shown, f"{declared.__name__} needs an example"


@every_class
def test_an_example_is_accepted(declared: Declared) -> None:
    for example in (declared.example, declared.example_minimal):
        if example is not None:
            declared.model_validate(example)


@every_class
def test_example_fits_its_schema(declared: Declared) -> None:
    for example in (declared.example, declared.example_minimal):
        if example is not None:
            assert complaints(SCHEMAS.fields(declared), example) == []


@every_operation
def test_answer_example_fits_the_result_type(operation: type[Operation[Any]]) -> None:
    if not SCHEMAS.answer(operation):
        return
    result: TypeAdapter[Any] = TypeAdapter(answer_type(operation))
    example = json.loads(json.dumps(shown_answer(operation)))
    answered = result.validate_json(json.dumps(example))
    assert result.dump_python(answered, by_alias=True, mode="json") == example
    assert complaints(SCHEMAS.answer(operation), example) == []


def test_example_of_an_accepted_message_fits_its_schema() -> None:
    assert Queued.model_validate(Queued.example).id == Queued.example["messageId"]
    assert complaints(SCHEMAS.reference(Queued), Queued.example) == []
