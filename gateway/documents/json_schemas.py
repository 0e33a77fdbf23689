"""The fields and answers of the declared classes as JSON Schema."""

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any, get_args

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from gateway.contract.callbacks import Callback
from gateway.contract.operation import Operation, Picture
from gateway.contract.send import OutgoingMessage, Queued
from gateway.documents.surface import Declared

COMPONENTS = "#/components/schemas/"
_NO_CONTENT = 204


class _Generator(GenerateJsonSchema):
    """Fields of requests may be left out instead of null; fields of answers are always present."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        if self.mode == "validation":
            return self.generate_inner(schema["schema"])
        return super().nullable_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        found = super().default_schema(schema)
        return {name: value for name, value in found.items() if (name, value) != ("default", None)}

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        return _untitled(super().model_schema(schema))

    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        return _untitled(super().enum_schema(schema))

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ANN401 - as the base class has it
        return False

    def field_is_required(self, field: Any, total: bool) -> bool:  # noqa: ANN401, FBT001 - as the base class has it
        if self.mode == "serialization":
            return "serialization_exclude_if" not in field
        return super().field_is_required(field, total)


class Schemas:
    """One set of components for everything that both documents describe."""

    def __init__(
        self, declared: Iterable[Declared], callbacks: Iterable[type[Callback]] = ()
    ) -> None:
        callbacks = list(callbacks)
        read: list[Any] = [*declared, *callbacks, Queued]
        answered = {name: answer_type(name) for name in declared if issubclass(name, Operation)}
        found, document = TypeAdapter.json_schemas(
            [
                *((kind, "validation", TypeAdapter[Any](kind)) for kind in read),
                *((kind, "serialization", TypeAdapter(kind)) for kind in set(answered.values())),
            ],
            ref_template=COMPONENTS + "{model}",
            schema_generator=_Generator,
        )
        self.components: dict[str, Any] = document.get("$defs", {})
        self._found: dict[Any, Any] = dict(found)
        self._answered = answered
        for callback in callbacks:
            _always_there(callback, self.fields(callback))

    def fields(self, declared: type) -> dict[str, Any]:
        """The object schema of everything a request or callback carries."""
        return self.resolve(self._found[declared, "validation"])

    def reference(self, kind: type) -> dict[str, Any]:
        """The reference to *kind* in a document, in most cases a `$ref`."""
        return dict(self._found[kind, "validation"])

    def answer(self, declared: Declared) -> dict[str, Any]:
        """The schema of the answer; empty where there is none."""
        if issubclass(declared, OutgoingMessage):
            return self.reference(Queued)
        if declared.answer_status == _NO_CONTENT:
            return {}
        return dict(self._found[self._answered[declared], "serialization"])

    def resolve(self, schema: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in schema:
            schema = self.components[schema["$ref"].removeprefix(COMPONENTS)]
        return schema


def answers_picture(declared: Declared) -> bool:
    return issubclass(declared, Operation) and Picture in get_args(declared.result_type())


def answer_type(operation: type[Operation[Any]]) -> Any:  # noqa: ANN401 - any type may be a result
    """The result as JSON; a picture is no part of it."""
    result = operation.result_type()
    if not answers_picture(operation):
        return result
    return reduce(or_, (kind for kind in get_args(result) if kind is not Picture))


def _always_there(callback: type[Callback], schema: dict[str, Any]) -> None:
    """A key of a callback is left out only where it would be null."""
    fields = zip(schema["properties"].items(), callback.model_fields.values(), strict=True)
    schema["required"] = []
    for (name, described), field in fields:
        described.pop("default", None)
        if field.is_required() or field.default is not None:
            schema["required"].append(name)


def _untitled(schema: JsonSchemaValue) -> JsonSchemaValue:
    return {name: value for name, value in schema.items() if name != "title"}
