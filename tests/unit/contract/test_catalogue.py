"""Being a subclass is the registration; clashes are refused before anything is served."""

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.contract.catalogue import Catalogue, catalogue
from gateway.contract.operation import Operation, RouteAddress, Value, declared_operations
from gateway.contract.send import OutgoingMessage, declared_sends
from gateway.contract.zapi.instance_queue import CountQueue, ListQueue
from gateway.contract.zapi.messages.text import SendText, TextMessage

catalogue()  # made before this module declares anything


@pytest.fixture
def nothing_remains() -> Iterator[None]:
    """What a test declares must be gone after it, or it would haunt the catalogue."""
    sends, operations = set(declared_sends()), set(declared_operations())
    yield
    gc.collect()
    assert set(declared_sends()) == sends
    assert set(declared_operations()) == operations


def test_catalogue_finds_declared_classes() -> None:
    known = Catalogue()

    assert known.sends["send-text"] is SendText
    assert known.operations[RouteAddress("GET", "/queue/count")] is CountQueue
    assert known.operations[RouteAddress("POST", "/queue")] is ListQueue


def test_class_without_an_address_is_no_route() -> None:
    known = catalogue()

    assert TextMessage not in known.sends.values()
    assert all(operation.address is not None for operation in known.operations.values())


def test_kind_of_a_message_is_its_path_up_to_a_slash() -> None:
    for kind, send in catalogue().sends.items():
        assert str(send.path).startswith(f"/{kind}")
        assert "/" not in kind


def test_message_type_below_another_type_is_refused(nothing_remains: None) -> None:
    class SendLouder(SendText, path="/send-louder"):
        """Would run the handlers of SendText without anybody having said so."""

    with pytest.raises(TypeError, match="SendLouder must inherit a family, not another type"):
        Catalogue()
    del SendLouder


def test_two_messages_with_one_path_are_refused(nothing_remains: None) -> None:
    class SendTextToo(TextMessage, path="/send-text"):
        """A second SendText."""

    with pytest.raises(TypeError, match="two message types claim /send-text"):
        Catalogue()
    del SendTextToo


def test_two_messages_with_one_kind_are_refused(nothing_remains: None) -> None:
    class SendTextByColour(TextMessage, path="/send-text/{colour}"):
        """Its rows could not be distinguished from those of SendText."""

    with pytest.raises(TypeError, match="two message types claim"):
        Catalogue()
    del SendTextByColour


def test_two_operations_with_one_address_are_refused(nothing_remains: None) -> None:
    class CountQueueToo(Operation[Value], method="GET", path="/queue/count"):
        """A second CountQueue."""

    with pytest.raises(TypeError, match=r"two operations claim .*'/queue/count'"):
        Catalogue()
    del CountQueueToo


def test_further_address_of_another_operation_is_refused(nothing_remains: None) -> None:
    class Elsewhere(
        Operation[Value],
        method="GET",
        path="/elsewhere",
        also=(RouteAddress("POST", "/elsewhere"), RouteAddress("GET", "/queue/count")),
    ):
        """Its second other address is CountQueue's."""

    with pytest.raises(TypeError, match=r"two operations claim .*'/queue/count'"):
        Catalogue()
    del Elsewhere


def test_path_with_two_methods_is_accepted(nothing_remains: None) -> None:
    class Two(Operation[Value], method="GET", path="/two", also=(RouteAddress("POST", "/two"),)):
        """Answers at both."""

    known = Catalogue()

    assert known.operations[RouteAddress("GET", "/two")] is Two
    assert known.operations[RouteAddress("POST", "/two")] is Two
    known.operations.clear()
    del known, Two


def test_operation_does_not_inherit_an_address(nothing_remains: None) -> None:
    class Narrower(CountQueue):
        """No address of its own."""

    assert Narrower.address is None
    assert Narrower.result_type() is CountQueue.result_type()
    del Narrower


def test_operation_without_a_result_is_refused(nothing_remains: None) -> None:
    class Nothing(Operation):  # type: ignore[type-arg]
        """Declares no result."""

    with pytest.raises(TypeError, match="Nothing declares no result"):
        Nothing.result_type()
    del Nothing


def test_operation_declares_a_result() -> None:
    operations: set[type[Operation[Any]]] = set(catalogue().operations.values())

    assert all(operation.result_type() is not None for operation in operations)


def test_message_class_without_a_path_is_no_route(nothing_remains: None) -> None:
    class Family(OutgoingMessage):
        """No route."""

    assert Family not in Catalogue().sends.values()
    del Family
