"""Real WhatsApp's library, unmodified, against a server of our own."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.contract.messages.text import SendText
from gateway.sessions.provider import MessageAcknowledged, MessageReceived
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake
from tests.providers.whatsmeow_node import Node, node_at


@pytest.fixture(scope="module")
def whatsapp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeWhatsApp]:
    with running_fake(tmp_path_factory.mktemp("whatsapp")) as fake:
        yield fake


@pytest.fixture
async def node(database_url: str, tmp_path: Path, whatsapp: FakeWhatsApp) -> AsyncIterator[Node]:
    async with node_at(database_url, tmp_path, whatsapp) as node:
        yield node


async def test_a_text_is_sent_delivered_and_read(node: Node) -> None:
    ana, bob = await node.linked("ana"), await node.linked("bob")
    receipt = await ana.send(SendText(phone=bob.phone, message="Hello"), "OURS")
    assert receipt.provider_message_id.startswith("3EB0")

    arrived = await bob.wait_for(MessageReceived)
    assert arrived.content == {"text": {"message": "Hello"}}
    assert arrived.chat == arrived.sender == ana.phone
    delivered = await ana.wait_for(MessageAcknowledged)
    assert (delivered.status, delivered.provider_message_ids) == ("delivered", ["OURS"])
