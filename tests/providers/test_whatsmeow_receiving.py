"""A child decrypts one message at a time, and confirms it once it is stored."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest

from gateway.providers.whatsmeow.child import receipts
from gateway.providers.whatsmeow.child.receiving import Receiving
from tests.fixtures.patience import PATIENCE_SECONDS

_RECV, _SEND, _CLIENT = "Client/Recv", "Client/Send", "Client"


class Engine:
    """Handles each report when the test lets it."""

    def __init__(self) -> None:
        self.handled: list[tuple[str, bool]] = []
        self._may_handle = threading.Event()
        self._may_handle.set()

    def report(self, name: str, body: dict[str, Any], *, releases: bool = False) -> None:
        del body
        assert self._may_handle.wait(PATIENCE_SECONDS)
        self.handled.append((name, releases))

    @contextmanager
    def held(self) -> Iterator[None]:
        self._may_handle.clear()
        yield
        self._may_handle.set()


def arrival(message_id: str, *types: str) -> str:
    parts = "".join(f'<enc type="{each}" v="2"><!-- 9 bytes --></enc>' for each in types)
    return f'<message from="1@lid" id="{message_id}" t="1" type="text">{parts}</message>'


def event(message_id: str) -> dict[str, Any]:
    return {"Info": {"ID": message_id}}


def in_thread(threads: ThreadPoolExecutor, act: Callable[[], None]) -> Future[None]:
    return threads.submit(act)


def confirm(receiving: Receiving, message_id: str) -> None:
    receiving.on_log(_SEND, f'<receipt id="{message_id}" to="1@lid"/>')


def decrypt(receiving: Receiving) -> None:
    receiving.on_log(_CLIENT, "Decrypting message from 1@lid in 1@lid")


def test_receipt_leaves_after_the_message_is_stored() -> None:
    receiving = Receiving((engine := Engine()).report)
    receiving.on_log(_RECV, arrival("A", "msg"))
    decrypt(receiving)

    with ThreadPoolExecutor() as threads:
        with engine.held():
            storing = in_thread(threads, lambda: receiving.report_event("Message", event("A")))
            receipt = in_thread(threads, lambda: confirm(receiving, "A"))
            assert not receipt.done()
        storing.result(PATIENCE_SECONDS)
        receipt.result(PATIENCE_SECONDS)

    assert engine.handled == [("Receiving", False), ("Message", True)]


def test_message_of_two_parts_releases_with_the_second() -> None:
    receiving = Receiving((engine := Engine()).report)
    receiving.on_log(_RECV, arrival("A", "pkmsg", "skmsg"))
    decrypt(receiving)

    receiving.report_event("Message", event("A"))
    receiving.report_event("Message", event("A"))

    assert engine.handled[1:] == [("Message", False), ("Message", True)]


def test_message_without_an_event_releases_before_its_receipt() -> None:
    receiving = Receiving((engine := Engine()).report)
    receiving.on_log(_RECV, arrival("A", "msg"))
    decrypt(receiving)
    receiving.on_log(_CLIENT, "Ignoring message A from 1@lid: received message with old counter")

    confirm(receiving, "A")

    assert engine.handled == [("Receiving", False), ("Released", False)]


def test_next_message_is_decrypted_after_the_one_before_is_stored() -> None:
    receiving = Receiving((engine := Engine()).report)
    receiving.on_log(_RECV, arrival("A", "msg"))
    receiving.on_log(_RECV, arrival("B", "msg"))
    decrypt(receiving)

    with ThreadPoolExecutor() as threads:
        following = in_thread(threads, lambda: decrypt(receiving))
        assert not following.done()
        receiving.report_event("Message", event("A"))
        following.result(PATIENCE_SECONDS)

    assert [name for name, _ in engine.handled] == ["Receiving", "Message", "Receiving"]


def test_stanza_that_was_not_decrypted_shifts_no_other() -> None:
    receiving = Receiving((engine := Engine()).report)
    receiving.on_log(_RECV, arrival("malformed", "msg"))
    receiving.on_log(_RECV, arrival("A", "pkmsg", "skmsg"))
    decrypt(receiving)

    receiving.report_event("Message", event("A"))
    receiving.report_event("Message", event("A"))
    confirm(receiving, "A")

    assert engine.handled[1:] == [("Message", False), ("Message", True)]


def test_encryption_and_decryption_exclude_each_other() -> None:
    receiving = Receiving((engine := Engine()).report)
    receiving.on_log(_RECV, arrival("A", "msg"))
    receiving.begin_encryption()

    with ThreadPoolExecutor() as threads:
        decryption = in_thread(threads, lambda: decrypt(receiving))
        assert engine.handled == []
        receiving.end_encryption()
        decryption.result(PATIENCE_SECONDS)
        encryption = in_thread(threads, receiving.begin_encryption)
        assert not encryption.done()
        receiving.report_event("Message", event("A"))
        encryption.result(PATIENCE_SECONDS)


def test_retry_receipt_waits_for_nothing() -> None:
    receiving = Receiving(Engine().report)
    receiving.on_log(_RECV, arrival("A", "msg"))
    decrypt(receiving)

    receiving.on_log(_SEND, '<receipt id="A" to="1@lid" type="retry"/>')


def acknowledge(receiving: Receiving, of: str) -> None:
    receiving.on_log(_SEND, f'<ack class="receipt" {of}/>')


def arrive(receiving: Receiving, of: str, content: str = "") -> None:
    receiving.on_log(_RECV, f"<receipt {of}>{content}</receipt>")


def store(receiving: Receiving, message_id: str, kind: str = "DELIVERED") -> None:
    receiving.report_event("Receipt", {"MessageIDs": [message_id], "Type": kind})


def wait_until(is_so: Callable[[], bool]) -> None:
    """Waits for other threads, whose waiting sets no event."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.001)


@pytest.fixture
def receiving(monkeypatch: pytest.MonkeyPatch) -> Receiving:
    """No acknowledgement leaves because it waited too long."""
    monkeypatch.setattr(receipts, "_MAX_WAITING_SECONDS", 2 * PATIENCE_SECONDS)
    return Receiving(Engine().report)


def test_receipt_is_acknowledged_once_it_is_stored(receiving: Receiving) -> None:
    arrive(receiving, 'from="1@lid" id="A" t="1"')
    arrive(receiving, 'from="1@lid" id="A" t="1" type="read"')

    with ThreadPoolExecutor() as threads:
        delivered = in_thread(threads, lambda: acknowledge(receiving, 'id="A" to="1@lid"'))
        read = in_thread(threads, lambda: acknowledge(receiving, 'id="A" to="1@lid" type="read"'))
        wait_until(lambda: receiving.receipts.waiting == 2)
        store(receiving, "A", "READ")
        read.result(PATIENCE_SECONDS)
        assert receiving.receipts.waiting == 1
        store(receiving, "A")
        delivered.result(PATIENCE_SECONDS)


def test_receipt_of_several_people_is_acknowledged_with_the_last(receiving: Receiving) -> None:
    of = 'from="9@g.us" id="B"'
    people = '<user jid="1@lid" t="1"/><user jid="2@lid" t="1"/>'
    arrive(receiving, of, f'<participants key="A">{people}</participants>')
    arrive(receiving, of, '<participants key="A"><user jid="3@lid" t="1"/></participants>')

    with ThreadPoolExecutor() as threads:
        leaving = in_thread(threads, lambda: acknowledge(receiving, 'id="B" to="9@g.us"'))
        wait_until(lambda: receiving.receipts.waiting == 1)
        for _ in range(2):
            store(receiving, "A")
        with ThreadPoolExecutor() as more:  # it would wait for nothing, had the first two ended it
            second = in_thread(more, lambda: acknowledge(receiving, 'id="B" to="9@g.us"'))
            wait_until(lambda: receiving.receipts.waiting == 2)
            store(receiving, "A")
            second.result(PATIENCE_SECONDS)
        leaving.result(PATIENCE_SECONDS)


@pytest.mark.parametrize("of", ['id="A"', 'id="A" type="server-error"'])
def test_receipt_without_an_event_is_acknowledged_at_once(receiving: Receiving, of: str) -> None:
    arrive(receiving, f'from="1@lid" {of}')

    with ThreadPoolExecutor() as threads:
        error = "" if "type" in of else 'error="487"'
        leaving = in_thread(threads, lambda: acknowledge(receiving, f'{error} {of} to="1@lid"'))
        leaving.result(PATIENCE_SECONDS)


def test_acknowledgement_waits_no_longer_than_its_connection(receiving: Receiving) -> None:
    arrive(receiving, 'from="1@lid" id="A"')

    with ThreadPoolExecutor() as threads:
        leaving = in_thread(threads, lambda: acknowledge(receiving, 'id="A" to="1@lid"'))
        wait_until(lambda: receiving.receipts.waiting == 1)
        receiving.on_log(_RECV, '<success t="1"/>')
        leaving.result(PATIENCE_SECONDS)

        arrive(receiving, 'from="1@lid" id="A"')
        store(receiving, "A")
        in_thread(threads, lambda: acknowledge(receiving, 'id="A" to="1@lid"')).result(
            PATIENCE_SECONDS
        )


def test_only_so_many_acknowledgements_wait(receiving: Receiving) -> None:
    numbers = range(100)
    for number in numbers:
        arrive(receiving, f'from="1@lid" id="{number}"')

    with ThreadPoolExecutor(len(numbers)) as threads:
        leaving = [
            in_thread(threads, partial(acknowledge, receiving, f'id="{number}" to="1@lid"'))
            for number in numbers
        ]
        wait_until(lambda: sum(each.done() for each in leaving) == 76)
        assert receiving.receipts.waiting == 24
        for number in numbers:
            store(receiving, str(number))
        for each in leaving:
            each.result(PATIENCE_SECONDS)
