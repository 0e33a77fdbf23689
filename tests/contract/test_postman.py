import re
from collections.abc import Iterator
from typing import Any

from gateway.contract.catalogue import catalogue
from gateway.contract.zapi.messages.reactions import Reaction, SendReaction
from gateway.contract.zapi.messages.text import SendText
from gateway.documents.json_schemas import Schemas
from gateway.documents.postman import render_collection, render_environment
from gateway.documents.postman_setups import SETUPS, declared_setups, setup_of
from gateway.documents.surface import surface

COLLECTION = render_collection(catalogue())
ENTRIES = surface(catalogue())
FILLED_BY_THE_USER = {
    *("baseUrl", "instanceId", "instanceToken", "clientToken", "partnerToken"),
    "webhookUrl",  # empty, until the user has a receiver
    "tomorrow",  # set before each request
}
FOLDERS = {folder["name"]: folder["item"] for folder in COLLECTION["item"]}


def requests() -> Iterator[dict[str, Any]]:
    for items in FOLDERS.values():
        yield from items


def script_of(item: dict[str, Any]) -> str:
    return "\n".join(item["event"][0]["script"]["exec"])


def titles(folder: str) -> list[str]:
    return [item["name"] for item in FOLDERS[folder]]


def test_collection_has_a_request_for_each_route() -> None:
    titled = {item["name"] for item in requests()}
    assert {entry.title for entry in surface(catalogue())} <= titled


def test_request_has_a_check_and_an_answer() -> None:
    for folder, items in FOLDERS.items():
        for item in items:
            assert re.search(
                r"pm\.(response\.to\.have\.status|expect\(pm\.response\.code)", script_of(item)
            ), item["name"]
            assert item["response"] or folder == "Service", item["name"]


def test_messages_come_before_the_queue() -> None:
    assert list(FOLDERS).index("Messages") < list(FOLDERS).index("Queue")


def test_queue_is_cleared_last_in_its_folder() -> None:
    assert titles("Queue")[-3:] == [
        "Send text (for: Remove from queue)",
        "Remove from queue",
        "Clear queue",
    ]


def test_request_that_disconnects_comes_last() -> None:
    orders = {entry.title: setup_of(entry.declared).order for entry in surface(catalogue())}
    latest = max(orders.values())
    last = [item["name"] for item in requests()][-1]
    assert orders[last] == latest


def test_message_request_checks_and_saves_its_ids() -> None:
    script = script_of(FOLDERS["Messages"][0])
    assert "pm.expect(answer.id).to.equal(answer.messageId);" in script
    for name in ("zaapId", "messageId"):
        assert f'pm.collectionVariables.set("{name}", answer["{name}"]);' in script


def test_optional_query_field_is_disabled() -> None:
    clear = next(item for item in FOLDERS["Queue"] if item["name"] == "Clear queue")
    assert all(field["disabled"] for field in clear["request"]["url"]["query"])
    assert "?" not in clear["request"]["url"]["raw"]


def test_path_field_is_filled_from_an_earlier_request() -> None:
    remove = next(item for item in FOLDERS["Queue"] if item["name"] == "Remove from queue")
    assert remove["request"]["url"]["path"][-1] == ":zaapId"
    assert remove["request"]["url"]["variable"] == [{"key": "zaapId", "value": "{{zaapId}}"}]


def test_variable_is_declared() -> None:
    declared = {variable["key"] for variable in COLLECTION["variable"]}
    assert set(re.findall(r"\{\{(\w+)\}\}", str(COLLECTION))) <= declared


def variables_set_by(item: dict[str, Any]) -> set[str]:
    return set(re.findall(r'collectionVariables\.set\("(\w+)"', script_of(item)))


def variables_used_by(item: dict[str, Any]) -> set[str]:
    return set(re.findall(r"\{\{(\w+)\}\}", str(item["request"])))


def test_request_uses_only_variables_that_earlier_requests_set() -> None:
    known = set(FILLED_BY_THE_USER)
    unset = {}
    for item in requests():
        if missing := variables_used_by(item) - known:
            unset[item["name"]] = missing
        known |= variables_set_by(item)
    assert unset == {}


def test_postman_setup_belongs_to_a_declared_request() -> None:
    declared = {family for entry in ENTRIES for family in entry.declared.__mro__}
    assert {name for name, _ in declared_setups() if name not in declared} == set()


def test_postman_setup_is_given_once_to_a_class() -> None:
    assert len(list(declared_setups())) == len(SETUPS)


def test_postman_setup_fills_only_fields_of_its_request() -> None:
    schemas = Schemas({entry.declared: None for entry in ENTRIES})
    for entry in ENTRIES:
        fields = schemas.fields(entry.declared).get("properties", {})
        named = setup_of(entry.declared).values.keys() - {"instanceId", "instanceToken"}
        assert named <= fields.keys(), entry.title


def test_id_in_a_path_comes_from_an_earlier_request() -> None:
    """Else the request could only fail, which its setup then has to allow."""
    allowed = {entry.title for entry in ENTRIES if setup_of(entry.declared).or_else}
    for item in requests():
        for variable in item["request"]["url"].get("variable", ()):
            if variable["key"].endswith("Id") and item["name"] not in allowed:
                assert variable["value"].startswith("{{"), item["name"]


def test_setup_of_a_base_class_counts_for_its_requests() -> None:
    assert setup_of(SendReaction) is SETUPS[Reaction]
    assert setup_of(SendText).first == ()


def test_environment_has_the_gateway_and_the_instance() -> None:
    names = {value["key"] for value in render_environment()["values"]}
    assert names == {"baseUrl", "instanceId", "instanceToken", "clientToken", "partnerToken"}
