"""A method and a path find the declared class; fixed paths come before patterns."""

import pytest

from gateway.api.routes import RouteTable
from gateway.contract.catalogue import Catalogue, catalogue
from gateway.contract.operation import RouteAddress
from gateway.contract.zapi.instance_queue import (
    ClearQueue,
    CountQueue,
    ListQueue,
    ListQueueByPage,
    RemoveFromQueue,
)
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import InvalidRequest, MethodNotAllowed, UnknownRoute


@pytest.fixture(scope="module")
def table() -> RouteTable:
    """A small contract: two literal paths, and patterns that would match them too."""
    known = Catalogue.__new__(Catalogue)
    known.sends = {"send-text": SendText}
    known.operations = {
        RouteAddress("DELETE", "/queue/{zaap_id}"): RemoveFromQueue,
        RouteAddress("GET", "/queue/{zaap_id}"): ListQueueByPage,
        RouteAddress("PUT", "/{anything}"): ClearQueue,
        RouteAddress("GET", "/queue/count"): CountQueue,
        RouteAddress("GET", "/queue"): ListQueueByPage,
        RouteAddress("POST", "/queue"): ListQueue,
    }
    return RouteTable(known)


@pytest.mark.parametrize(
    ("method", "path", "declared", "parameters"),
    [
        ("POST", "/send-text", SendText, {}),
        ("GET", "/queue", ListQueueByPage, {}),
        ("POST", "/queue", ListQueue, {}),
        ("DELETE", "/queue/ABC", RemoveFromQueue, {"zaap_id": "ABC"}),
        ("DELETE", "/queue/a b%", RemoveFromQueue, {"zaap_id": "a b%"}),
    ],
)
def test_find_returns_declared_class_and_parameters(
    table: RouteTable, method: str, path: str, declared: type, parameters: dict[str, str]
) -> None:
    route = table.find(method, path)

    assert route.declared is declared
    assert route.parameters == parameters


def test_find_prefers_fixed_path_to_pattern(table: RouteTable) -> None:
    route = table.find("GET", "/queue/count")

    assert (route.declared, route.template, route.parameters) == (CountQueue, "/queue/count", {})


def test_find_uses_pattern_for_methods_without_fixed_path(table: RouteTable) -> None:
    route = table.find("DELETE", "/queue/count")

    assert (route.declared, route.parameters) == (RemoveFromQueue, {"zaap_id": "count"})


def test_find_template_holds_no_parameter(table: RouteTable) -> None:
    assert table.find("DELETE", "/queue/ABC").template == "/queue/{zaap_id}"


@pytest.mark.parametrize("path", ["/queue/", "/queue//", "/queue/count/", "/send-text/"])
def test_find_ignores_trailing_slash(table: RouteTable, path: str) -> None:
    method = "POST" if "send" in path else "GET"

    assert table.find(method, path) == table.find(method, path.rstrip("/"))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/send-text", {"POST", "PUT"}),
        ("PATCH", "/queue", {"GET", "POST", "PUT"}),
        ("PATCH", "/queue/count", {"GET", "DELETE"}),
        ("HEAD", "/queue/ABC", {"GET", "DELETE"}),
        ("get", "/queue/ABC", {"GET", "DELETE"}),
    ],
)
def test_find_with_wrong_method_names_allowed_methods(
    table: RouteTable, method: str, path: str, allowed: set[str]
) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        table.find(method, path)

    assert caught.value.allowed == allowed


@pytest.mark.parametrize("path", ["/", "", "/queue/a/b", "/send-text/more", "//queue"])
def test_find_other_path_is_unknown(table: RouteTable, path: str) -> None:
    with pytest.raises(UnknownRoute):
        table.find("GET", path)


@pytest.mark.parametrize(("absolute", "by_name"), [(True, False), (False, False), (True, True)])
def test_find_every_declared_route_at_its_address(*, absolute: bool, by_name: bool) -> None:
    known = catalogue()
    table = RouteTable(known, absolute=absolute, by_name=by_name)
    routes: dict[tuple[str, str], type] = {
        address: operation
        for address, operation in known.operations.items()
        if (operation.absolute, operation.by_name) == (absolute, by_name)
    }
    if not absolute:
        routes |= {("POST", str(send.path)): send for send in known.sends.values()}

    assert routes
    for (method, path), declared in routes.items():
        assert table.find(method, path.replace("{", "").replace("}", "")).declared is declared


def test_account_paths_are_not_instance_paths() -> None:
    relative = RouteTable(catalogue())

    for path in RouteTable(catalogue(), absolute=True).paths:
        assert path not in relative.paths


@pytest.mark.parametrize("path", ["/queue/", "/queue//"])
def test_find_refuses_deletion_whose_name_is_empty(table: RouteTable, path: str) -> None:
    with pytest.raises(InvalidRequest, match="ends with a slash"):
        table.find("DELETE", path)
