import re
from collections.abc import Iterator
from typing import Any

from gateway.contract.catalogue import catalogue
from gateway.documents.postman import render_collection, render_environment
from gateway.documents.surface import surface

COLLECTION = render_collection(catalogue())
FOLDERS = {folder["name"]: folder["item"] for folder in COLLECTION["item"]}


def requests() -> Iterator[dict[str, Any]]:
    for items in FOLDERS.values():
        yield from items


def script_of(item: dict[str, Any]) -> str:
    return "\n".join(item["event"][0]["script"]["exec"])


def titles(folder: str) -> list[str]:
    return [item["name"] for item in FOLDERS[folder]]


def test_every_declared_class_is_a_request() -> None:
    titled = {item["name"] for item in requests()}
    assert {entry.title for entry in surface(catalogue())} <= titled


def test_every_request_is_checked_and_shows_an_answer() -> None:
    for folder, items in FOLDERS.items():
        for item in items:
            assert re.search(
                r"pm\.(response\.to\.have\.status|expect\(pm\.response\.code)", script_of(item)
            ), item["name"]
            assert item["response"] or folder == "Service", item["name"]


def test_messages_are_sent_before_the_queue_is_read() -> None:
    assert list(FOLDERS).index("Messages") < list(FOLDERS).index("Queue")


def test_the_queue_is_cleared_after_it_was_read() -> None:
    assert titles("Queue")[-3:] == [
        "Send text (for: Remove from queue)",
        "Remove from queue",
        "Clear queue",
    ]


def test_what_disconnects_comes_last() -> None:
    orders = {entry.title: entry.declared.postman_setup.order for entry in surface(catalogue())}
    latest = max(orders.values())
    last = [item["name"] for item in requests()][-1]
    assert orders[last] == latest


def test_a_send_checks_and_remembers_its_ids() -> None:
    script = script_of(FOLDERS["Messages"][0])
    assert "pm.expect(answer.id).to.equal(answer.messageId);" in script
    for name in ("zaapId", "messageId"):
        assert f'pm.collectionVariables.set("{name}", answer["{name}"]);' in script


def test_an_optional_field_of_the_query_is_shown_but_not_sent() -> None:
    clear = next(item for item in FOLDERS["Queue"] if item["name"] == "Clear queue")
    assert all(field["disabled"] for field in clear["request"]["url"]["query"])
    assert "?" not in clear["request"]["url"]["raw"]


def test_a_field_of_the_path_is_filled_with_what_an_earlier_request_left() -> None:
    remove = next(item for item in FOLDERS["Queue"] if item["name"] == "Remove from queue")
    assert remove["request"]["url"]["path"][-1] == ":zaapId"
    assert remove["request"]["url"]["variable"] == [{"key": "zaapId", "value": "{{zaapId}}"}]


def test_every_variable_is_declared() -> None:
    declared = {variable["key"] for variable in COLLECTION["variable"]}
    assert set(re.findall(r"\{\{(\w+)\}\}", str(COLLECTION))) <= declared


def test_the_environment_names_the_gateway_and_the_instance() -> None:
    names = {value["key"] for value in render_environment()["values"]}
    assert names == {"baseUrl", "instanceId", "instanceToken", "clientToken", "partnerToken"}
