from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.api.error_replies import status_of
from gateway.contract.callbacks import Callback
from gateway.contract.catalogue import catalogue
from gateway.documents.error_answers import FAILURES
from gateway.documents.json_schemas import Schemas
from gateway.documents.openapi import render_openapi
from gateway.documents.service_routes import SERVICE_PATHS
from gateway.documents.surface import INSTANCE_PATH, surface

DOCUMENT = render_openapi(catalogue())
METHODS = {"get", "post", "put", "delete"}


def test_document_is_valid_openapi() -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


def test_document_describes_each_route() -> None:
    described = {
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item.keys() & METHODS
    }
    declared = {(entry.method, entry.full_path) for entry in surface(catalogue())}
    assert described == declared | {("GET", path) for path in SERVICE_PATHS}


def test_path_parameter_is_a_field_of_its_class() -> None:
    entries = surface(catalogue())
    schemas = Schemas({entry.declared: None for entry in entries})
    for entry in entries:
        fields = schemas.fields(entry.declared).get("properties", {})
        assert set(entry.path_names) <= fields.keys(), entry.path


def test_documented_failure_has_the_status_callers_get() -> None:
    assert {status: {status_of(e) for e in errors} for status, errors in FAILURES.items()} == {
        status: {status} for status in FAILURES
    }


def test_message_documents_its_body_answer_and_failures() -> None:
    send = DOCUMENT["paths"][f"{INSTANCE_PATH}/send-text"]["post"]
    body = send["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/SendText"}
    assert set(body["examples"]) == {"full", "minimal"}
    assert {"$ref": "#/components/parameters/IdempotencyKey"} in send["parameters"]
    assert {"200", "400", "403", "404", "413", "415", "422", "429"} <= send["responses"].keys()


def test_document_spells_fields_as_on_the_wire() -> None:
    properties = DOCUMENT["components"]["schemas"]["SendText"]["properties"]
    assert {"delayMessage", "editMessageId", "groupMentioned"} <= properties.keys()
    assert properties["priority"]["enum"] == ["high", "normal", "bulk"]


def test_optional_field_is_not_documented_as_null() -> None:
    properties = DOCUMENT["components"]["schemas"]["SendText"]["properties"]
    assert properties["messageId"]["type"] == "string"


def test_operation_without_a_body_has_query_parameters() -> None:
    operation = DOCUMENT["paths"][f"{INSTANCE_PATH}/queue"]["delete"]
    assert "requestBody" not in operation
    assert {p["name"] for p in operation["parameters"]} == {
        *("status", "type", "phone", "trackId", "olderThan")
    }


def test_path_parameter_is_not_a_query_parameter() -> None:
    operation = DOCUMENT["paths"][f"{INSTANCE_PATH}/queue/{{zaapId}}"]["delete"]
    assert [(p["name"], p["in"]) for p in operation["parameters"]] == [("zaapId", "path")]


def test_callback_is_documented_as_a_webhook() -> None:
    types = {
        kind.model_fields["type"].default
        for kind in Callback.__subclasses__()
        if "type" in kind.model_fields
    }
    assert types <= DOCUMENT["webhooks"].keys()


def test_callback_key_is_optional_only_if_it_may_be_null() -> None:
    schema = DOCUMENT["components"]["schemas"]["DeliveryCallback"]
    assert set(schema["properties"]) - set(schema["required"]) == {"error", "trackId"}


def test_internal_operation_is_not_documented() -> None:
    assert "ShowTyping" not in str(DOCUMENT)


def test_text_answer_is_documented_as_plain_text() -> None:
    path = f"{INSTANCE_PATH}/integrator/on-demand/subscription"
    answer = DOCUMENT["paths"][path]["post"]["responses"]["201"]
    assert answer["content"].keys() == {"text/plain"}
