"""The routes beside the contract: health, readiness, metrics and the event stream."""

from collections.abc import Mapping
from typing import Any

from gateway.contract.documented import Requirement

SERVICE_TAG: Mapping[str, Any] = {"name": "Service", "description": "The gateway itself."}

_READINESS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "ready": {"type": "boolean"},
        "checks": {"type": "object", "additionalProperties": {"type": "string"}},
        "warnings": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "description": "What the operator should change although requests can be served.",
        },
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


def _json(
    description: str, schema: Mapping[str, Any], example: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/json": {"schema": schema, "example": example}},
    }


_PROVIDERS: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "providers": {"type": "array", "items": {"type": "string"}},
        "requirements": {"type": "object", "additionalProperties": {"type": "string"}},
        "operations": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "method": {"type": "string"},
                    "path": {"type": "string"},
                    "operation": {"type": "string"},
                    "supportedBy": {"type": "array", "items": {"type": "string"}},
                    "requirement": {"type": ["string", "null"]},
                },
                "required": ["method", "path", "operation", "supportedBy", "requirement"],
            },
        },
        "health": {
            "type": "object",
            "description": "By provider, of the connections of the node that answers: unhealthy if "
            "more than half of them are. Providers without a checked connection are left out.",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "status": {"type": "string", "enum": ["healthy", "unhealthy"]},
                    "unhealthyShare": {"type": "number"},
                    "latencyMs": {"type": ["integer", "null"]},
                    "errorRate": {"type": "number"},
                    "reason": {"type": ["string", "null"]},
                },
                "required": ["status", "unhealthyShare", "latencyMs", "errorRate", "reason"],
            },
        },
    },
    "required": ["providers", "requirements", "operations", "health"],
}

_NO_OTHER_METHOD: Mapping[str, Any] = {"405": {"$ref": "#/components/responses/MethodNotAllowed"}}
_EVENT = """\
id: 481516234200000000-42
event: DeliveryCallback
data: {"type": "DeliveryCallback", "instanceId": "3C67AB641C8AA0412F6A2242B4E23AC7"}

"""

SERVICE_PATHS: Mapping[str, Any] = {
    "/events": {
        "get": {
            "operationId": "streamEvents",
            "tags": [SERVICE_TAG["name"]],
            "summary": "All callbacks of the account, as Server-Sent Events.",
            "description": "Whether or not a webhook is set. Each event has the `type` of a "
            "callback and its body as `data`. A client that sends the `id` of its last event "
            "in `Last-Event-ID` gets every later event that is still stored. An event "
            "`EventsMissing` says that earlier ones are not: its `reason` is `expired` (deleted "
            "because of their age) or `restored` (the database was restored to an earlier state). "
            "The stream ends when its token is revoked. An API key needs the scope `read`, and "
            "is limited to no instances.",
            "parameters": [
                {
                    "name": "Last-Event-ID",
                    "in": "header",
                    "required": False,
                    "description": "Goes on after this event; without it, with what comes next.",
                    "schema": {"type": "string", "pattern": "^[0-9]{1,18}-[0-9]{1,19}$"},
                    "example": "481516234200000000-42",
                }
            ],
            "security": [{"PartnerToken": []}],
            "responses": {
                "200": {
                    "description": "Stays open, with a comment every 15 seconds.",
                    "content": {
                        "text/event-stream": {"schema": {"type": "string"}, "example": _EVENT}
                    },
                },
                **{
                    status: {"$ref": f"#/components/responses/{name}"}
                    for status, name in (
                        ("400", "InvalidRequest"),
                        ("401", "Unauthorized"),
                        ("403", "Forbidden"),
                        ("429", "TooManyRequests"),
                        ("503", "Unavailable"),
                    )
                },
                **_NO_OTHER_METHOD,
            },
        }
    },
    "/providers": {
        "get": {
            "operationId": "providers",
            "tags": [SERVICE_TAG["name"]],
            "summary": "Which route each provider supports, and the health of each.",
            "security": [],
            "responses": {
                "200": _json(
                    "The table.",
                    _PROVIDERS,
                    {
                        "providers": ["example"],
                        "requirements": {each.name: each.value for each in Requirement},
                        "operations": [
                            {
                                "method": "GET",
                                "path": "/groups",
                                "operation": "ListGroups",
                                "supportedBy": ["example"],
                                "requirement": None,
                            }
                        ],
                        "health": {
                            "example": {
                                "status": "healthy",
                                "unhealthyShare": 0.0,
                                "latencyMs": 84,
                                "errorRate": 0.0,
                                "reason": None,
                            }
                        },
                    },
                ),
                **_NO_OTHER_METHOD,
            },
        }
    },
    "/health": {
        "get": {
            "operationId": "health",
            "tags": [SERVICE_TAG["name"]],
            "summary": "Answers as long as the process lives.",
            "security": [],
            "responses": {"200": _json("Alive.", _HEALTH, {"status": "ok"}), **_NO_OTHER_METHOD},
        }
    },
    "/ready": {
        "get": {
            "operationId": "ready",
            "tags": [SERVICE_TAG["name"]],
            "summary": "Whether requests can be served; answers within two seconds.",
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
                **_NO_OTHER_METHOD,
            },
        }
    },
}
