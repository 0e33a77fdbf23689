"""The routes beside the contract: is the process alive, can it do its work, and what of it."""

from collections.abc import Mapping
from typing import Any

SERVICE_TAG: Mapping[str, Any] = {"name": "service", "description": "The gateway itself."}

_READINESS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "ready": {"type": "boolean"},
        "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        "error": {"type": "string"},
        "message": {"type": "string"},
    },
    "required": ["ready", "checks"],
}
_HEALTH: Mapping[str, Any] = {
    "type": "object",
    "properties": {"status": {"const": "ok"}},
    "required": ["status"],
}


def _json(description: str, schema: Mapping[str, Any], example: Mapping[str, Any]) -> Any:  # noqa: ANN401
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


_PROVIDERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "providers": {"type": "array", "items": {"type": "string"}},
        "operations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "method": {"type": "string"},
                    "path": {"type": "string"},
                    "operation": {"type": "string"},
                    "supportedBy": {"type": "array", "items": {"type": "string"}},
                },
                "required": ["method", "path", "operation", "supportedBy"],
            },
        },
    },
    "required": ["providers", "operations"],
}

SERVICE_PATHS: Mapping[str, Any] = {
    "/providers": {
        "get": {
            "operationId": "providers",
            "tags": ["service"],
            "summary": "Which route every provider can do; the others answer 501.",
            "security": [],
            "responses": {
                "200": _json(
                    "The table.",
                    _PROVIDERS,
                    {
                        "providers": ["sandbox"],
                        "operations": [
                            {
                                "method": "GET",
                                "path": "/groups",
                                "operation": "ListGroups",
                                "supportedBy": ["sandbox"],
                            }
                        ],
                    },
                )
            },
        }
    },
    "/health": {
        "get": {
            "operationId": "health",
            "tags": ["service"],
            "summary": "Answers as long as the process lives.",
            "security": [],
            "responses": {"200": _json("Alive.", _HEALTH, {"status": "ok"})},
        }
    },
    "/ready": {
        "get": {
            "operationId": "ready",
            "tags": ["service"],
            "summary": "Whether requests can be served.",
            "security": [],
            "responses": {
                "200": _json("Ready.", _READINESS, {"ready": True, "checks": {"postgres": "ok"}}),
                "503": _json(
                    "Not ready; `error` names the first check that failed.",
                    _READINESS,
                    {
                        "ready": False,
                        "checks": {"startup": "migrating the database"},
                        "error": "startup: migrating the database",
                        "message": "startup: migrating the database",
                    },
                ),
            },
        }
    },
}
