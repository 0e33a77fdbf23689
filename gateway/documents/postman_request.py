"""One request of the Postman collection, with a saved answer and its checks."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from gateway.documents.json_schemas import Schemas
from gateway.documents.postman_scripts import checks, event
from gateway.documents.surface import Entry, shown_answer

_PARTNER_AUTH: Mapping[str, Any] = {
    "type": "bearer",
    "bearer": [{"key": "token", "value": "{{partnerToken}}", "type": "string"}],
}
_JSON_HEADER: Mapping[str, Any] = {"key": "Content-Type", "value": "application/json"}
_IDEMPOTENCY_HEADER: Mapping[str, Any] = {
    "key": "Idempotency-Key",
    "value": "{{$guid}}",
    "description": "Sending the same key again queues nothing.",
    "disabled": True,
}


def request_item(
    entry: Entry, schemas: Schemas, *, title: str | None = None, given: Mapping[str, Any]
) -> dict[str, Any]:
    """A request with the values *given*, spelled as on the wire."""
    request = _request(entry, schemas, given)
    return {
        "name": title or entry.title,
        "request": request,
        "response": [_saved_answer(entry, request)],
        "event": [event("test", checks(entry, schemas))],
    }


def _request(entry: Entry, schemas: Schemas, given: Mapping[str, Any]) -> dict[str, Any]:
    elsewhere = {*entry.path_names, *entry.header_names, "instanceId", "instanceToken"}
    properties = schemas.fields(entry.declared).get("properties", {})
    fields = {n: v for n, v in given.items() if n in properties and n not in elsewhere}
    headers = [_IDEMPOTENCY_HEADER] if entry.enqueues else []
    request: dict[str, Any] = {
        "method": entry.method,
        "description": "\n\n".join(filter(None, (entry.summary, entry.description))),
        "header": headers,
        "url": _url(entry, given, _query(entry, schemas, fields) if entry.has_query_fields else []),
    }
    if not entry.has_query_fields and properties.keys() - elsewhere:
        request["header"] = [_JSON_HEADER, *headers]
        request["body"] = {
            "mode": "raw",
            "raw": _as_json(entry.body_of(fields)),
            "options": {"raw": {"language": "json"}},
        }
    if entry.partner:
        request["auth"] = _PARTNER_AUTH
    return request


def _query(entry: Entry, schemas: Schemas, fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every field; enabled where the minimal example has it or it is required."""
    required = schemas.fields(entry.declared).get("required", ())
    minimal = entry.declared.example_minimal or {}
    return [
        {
            "key": name,
            "value": _as_text(value),
            **({} if name in minimal or name in required else {"disabled": True}),
        }
        for name, value in fields.items()
    ]


def _url(entry: Entry, given: Mapping[str, Any], query: list[dict[str, Any]]) -> dict[str, Any]:
    parts = [f":{name[1:-1]}" if name.startswith("{") else name for name in _segments(entry.path)]
    if not entry.absolute:
        instance = given.get("instanceId", "{{instanceId}}")
        token = given.get("instanceToken", "{{instanceToken}}")
        parts = ["instances", instance, "token", token, *parts]
    enabled = "&".join(f"{p['key']}={p['value']}" for p in query if not p.get("disabled"))
    url: dict[str, Any] = {
        "raw": "/".join(["{{baseUrl}}", *parts]) + (f"?{enabled}" if enabled else ""),
        "host": ["{{baseUrl}}"],
        "path": parts,
    }
    if query:
        url["query"] = query
    if entry.path_names:
        url["variable"] = [
            {"key": name, "value": _as_text(given.get(name, ""))} for name in entry.path_names
        ]
    return url


def _segments(path: str) -> list[str]:
    return path.strip("/").split("/")


def _saved_answer(entry: Entry, request: Mapping[str, Any]) -> dict[str, Any]:
    answer = shown_answer(entry.declared)
    return {
        "name": HTTPStatus(entry.status).phrase,
        "originalRequest": request,
        "status": HTTPStatus(entry.status).phrase,
        "code": entry.status,
        "_postman_previewlanguage": "text" if isinstance(answer, str) else "json",
        "header": [] if answer is None else [{"key": "Content-Type", "value": entry.media_type}],
        "cookie": [],
        "body": _shown(answer),
    }


def _shown(answer: object) -> str:
    if answer is None:
        return ""
    return answer if isinstance(answer, str) else _as_json(answer)


def _as_json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)
