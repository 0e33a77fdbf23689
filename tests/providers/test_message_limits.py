"""Each provider sends a message whose every field is as large as WhatsApp's limits allow."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.contract.building import build
from gateway.contract.catalogue import catalogue
from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile, files_in
from gateway.contract.send import OutgoingMessage
from gateway.send_queue.unknown_messages import with_unknown
from gateway.sessions.provider import Attempt
from tests.fixtures.limits import at_every_limit, counted_limits
from tests.providers.sandbox_node import Node
from tests.providers.sandbox_session import connected
from tests.providers.sandbox_session import sent as sandbox_sent
from tests.providers.whatsmeow_messages import PIXEL
from tests.providers.whatsmeow_node import Pair

LARGE = [
    send
    for _, send in sorted(catalogue().sends.items())
    if counted_limits(send) and not build(send, send.example).needed_ids()
]
_TO_A_GROUP = ("send-event",)


def at_limits(send: type[OutgoingMessage]) -> tuple[OutgoingMessage, Mapping[str, KnownMessage]]:
    """Returns the message and what it refers to, which the gateway does not know."""
    return with_unknown(build(send, at_every_limit(send)), {}, "quote")


def pictures(message: OutgoingMessage, path: Path) -> dict[str, MediaFile]:
    path.write_bytes(PIXEL)
    file = MediaFile(path, "image/png", len(PIXEL), "")
    return {named.text: file for named in files_in(message)}


async def test_sandbox_sends_messages_at_every_limit(node: Node, tmp_path: Path) -> None:
    async with connected(node) as listening:
        for number, send in enumerate(LARGE):
            message, referred = at_limits(send)
            files = pictures(message, tmp_path / f"{number}")
            await listening.session.send(message, Attempt(f"M{number}", 1, 10.0, referred, files))
        kinds = [row["type"] for row in await sandbox_sent(node)]
    assert kinds == [send.kind() for send in LARGE]


@pytest.mark.parametrize(
    "send", [send for send in LARGE if send.kind() not in _TO_A_GROUP], ids=lambda send: send.kind()
)
async def test_whatsmeow_sends_messages_at_every_limit(
    pair: Pair, send: type[OutgoingMessage], tmp_path: Path
) -> None:
    ana, bob = pair
    message, referred = at_limits(send)
    if message.phone.isdigit():
        message = message.model_copy(update={"phone": bob.phone})
    files = pictures(message, tmp_path / "picture")
    attempt = Attempt("LARGE", ana.session.spec.epoch, 10.0, referred, files)
    receipt = await ana.session.send(message, attempt)
    if message.phone == bob.phone:
        await bob.wait_for_message(receipt.provider_message_id)
