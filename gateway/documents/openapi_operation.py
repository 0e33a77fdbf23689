"""One method of one path, as OpenAPI describes it."""

from typing import Any

from gateway.contract.zapi.instances import PNG
from gateway.documents.error_answers import failures_of, name_of
from gateway.documents.json_schemas import Schemas, answers_picture
from gateway.documents.surface import Entry, shown_answer, title_of

_JSON = "application/json"
_ACCEPTED = 202
_NOT_PARAMETERS = frozenset({"accept", "authorization", "content-type"})  # OpenAPI forbids them


def operation_object(entry: Entry, schemas: Schemas) -> dict[str, Any]:
    """What a caller must know to send the request and to read the answer."""
    fields = _fields_of(entry, schemas)
    parameters = [*_parameters(entry, schemas, fields)]
    body = (
        None
        if entry.has_query_fields or not fields["properties"]
        else _body(entry, schemas, fields)
    )
    described: dict[str, Any] = {
        "operationId": _operation_id(entry),
        "tags": [title_of(entry.subject)],
        "summary": entry.summary,
        "description": _description(entry),
        "parameters": parameters,
        "requestBody": body,
        "responses": _responses(
            entry, schemas, has_fields=bool(fields["properties"] or parameters), has_body=bool(body)
        ),
        "x-scope": entry.declared.scope,
        "security": [{"PartnerToken": []}, {"PartnerTokenHeader": []}] if entry.partner else None,
    }
    return {name: value for name, value in described.items() if value}


def _fields_of(entry: Entry, schemas: Schemas) -> dict[str, Any]:
    """The object schema without what path and headers carry."""
    whole = schemas.fields(entry.declared)
    elsewhere = {*entry.path_names, *entry.header_names}
    fields: dict[str, Any] = {
        "type": "object",
        "properties": {n: s for n, s in whole.get("properties", {}).items() if n not in elsewhere},
    }
    if required := [name for name in whole.get("required", ()) if name not in elsewhere]:
        fields["required"] = required
    return fields


def _operation_id(entry: Entry) -> str:
    name = entry.declared.__name__
    identity = name[0].lower() + name[1:]
    if entry.main is None:
        return identity
    words = entry.path.translate(str.maketrans("{}-", "///")).split("/")
    return f"{identity}By{entry.method.capitalize()}{''.join(w[:1].upper() + w[1:] for w in words)}"


def _description(entry: Entry) -> str:
    also = f"Another address of `{entry.main}`." if entry.main else ""
    return "\n\n".join(part for part in (also, entry.description) if part)


def _parameters(entry: Entry, schemas: Schemas, fields: dict[str, Any]) -> list[dict[str, Any]]:
    whole = schemas.fields(entry.declared).get("properties", {})
    example = entry.declared.example
    found = [
        _parameter(name, "path", whole[name], required=True, example=example.get(name))
        for name in entry.path_names
    ]
    found += [
        _parameter(header, "header", whole[name], required=False, example=example.get(name))
        for name, header in entry.header_names.items()
        if header.lower() not in _NOT_PARAMETERS
    ]
    if entry.has_query_fields:
        found += [
            _parameter(
                name,
                "query",
                schema,
                required=name in fields.get("required", ()),
                example=example.get(name),
            )
            for name, schema in fields["properties"].items()
        ]
    if entry.enqueues:
        # What is scheduled (202) has no outcome to wait for.
        names = ("IdempotencyKey",) if entry.status == _ACCEPTED else ("IdempotencyKey", "Prefer")
        found += [{"$ref": f"#/components/parameters/{name}"} for name in names]
    return found


def _parameter(
    name: str, place: str, schema: dict[str, Any], *, required: bool, example: object
) -> dict[str, Any]:
    bare = {key: value for key, value in schema.items() if key != "description"}
    described = {
        "name": name,
        "in": place,
        "required": required,
        "description": schema.get("description"),
        "schema": bare,
        "example": example,
    }
    return {key: value for key, value in described.items() if value is not None}


def _body(entry: Entry, schemas: Schemas, fields: dict[str, Any]) -> dict[str, Any]:
    elsewhere = {*entry.path_names, *entry.header_names}
    schema = fields if elsewhere else schemas.reference(entry.declared)
    if entry.bare_list:
        schema = fields["properties"][entry.bare_list]
    content: dict[str, Any] = {
        "schema": schema,
        "examples": {
            title: {"value": entry.body_of(example)}
            for title, example in (
                ("full", entry.declared.example),
                ("minimal", entry.declared.example_minimal),
            )
            if example is not None
        },
    }
    return {"required": "required" in fields, "content": {_JSON: content}}


def _responses(
    entry: Entry, schemas: Schemas, *, has_fields: bool, has_body: bool
) -> dict[str, Any]:
    responses: dict[str, Any] = {str(entry.status): _answer(entry, schemas)}
    for status in failures_of(entry, has_fields=has_fields, has_body=has_body):
        responses[str(status)] = {"$ref": f"#/components/responses/{name_of(status)}"}
    return responses


def _answer(entry: Entry, schemas: Schemas) -> dict[str, Any]:
    schema = schemas.answer(entry.declared)
    if not schema:
        return {"description": "Done, without a body."}
    shown = {"schema": schema, "example": shown_answer(entry.declared)}
    content: dict[str, Any] = {entry.media_type: shown}
    if answers_picture(entry.declared):
        content[PNG] = {"schema": {"type": "string", "format": "binary"}}
    described = schemas.resolve(schema).get("description")
    accepted = "Accepted into the queue." if entry.is_send else None
    return {"description": accepted or described or "The answer.", "content": content}
