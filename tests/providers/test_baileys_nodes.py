"""Sessions work with each Node of this machine, and say what is wrong with one that is too old."""

import contextlib
import os
import shutil
import signal
from pathlib import Path

import pytest

from gateway.contract.extensions.proxies import Proxy
from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.contract.media import MediaFile
from gateway.contract.zapi.instances import ReadQrCode
from gateway.contract.zapi.messages.media import SendImage
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import SessionUnavailable, StartRefused
from gateway.providers.baileys.node_program import find_node, version_of
from gateway.providers.baileys.settings import BaileysSettings
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged, MessageReceived
from tests.fixtures.proxies import local_proxy
from tests.providers.baileys_node import node_at
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_messages import PIXEL

MAJORS = (20, 24)


def node_of(major: int) -> Path:
    """Returns the Node of this version: the one that the gateway finds, or that in PATH."""
    in_path = shutil.which("node")
    for settings in (BaileysSettings(), BaileysSettings(node=in_path)):
        with contextlib.suppress(StartRefused):
            if version_of(node := find_node(settings)) == major:
                return node
    pytest.skip(f"Node {major} is not installed")


@pytest.mark.long
@pytest.mark.parametrize("major", MAJORS)
async def test_sessions_link_send_fetch_files_and_come_back_with_each_node(
    database_url: str, whatsapp: FakeWhatsApp, tmp_path: Path, major: int
) -> None:
    node = node_of(major)
    path = tmp_path / "pixel.png"
    path.write_bytes(PIXEL)
    picture = MediaFile(path, "image/png", len(PIXEL), "")
    async with (
        local_proxy("http", beyond=whatsapp.port) as proxy,
        node_at(database_url, whatsapp, node=node) as gateway,
    ):
        bob = await gateway.linked("bob")
        async with gateway.opened("ana", proxy=Proxy(proxy_url=proxy.url)) as ana:
            await ana.link()
            await ana.send(SendText(phone=bob.phone, message="Hello"), "TEXT")
            await bob.wait_for(MessageReceived)
            await bob.send(SendImage(phone=ana.phone, image="pixel"), "IMAGE", pixel=picture)
            (received,) = (await ana.wait_for(MessageReceived)).files
            await ana.wait_for_status("TEXT")
            copy = tmp_path / "copy.png"
            await ana.session.execute(ReadReceivedFile(reference=received.reference, path=copy))
            assert copy.read_bytes() == PIXEL
            os.kill(ana.pid, signal.SIGKILL)
            for line in (ana, bob):
                await line.wait_for(
                    ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED
                )
                await line.until_state(ConnectionState.CONNECTED)
            ready = await ana.child.call("", "ready")
            assert ready["node"].startswith(f"v{major}.")
            await ana.send(SendText(phone=bob.phone, message="again"), "AGAIN")
            await bob.wait_for(MessageReceived, lambda m: "again" in str(m.content))
        assert "web.whatsapp.com:443" in proxy.targets


@pytest.mark.parametrize(
    ("script", "sentence"),
    [("#!/bin/sh\necho v18.20.8\n", "20 or newer"), (None, "does not run as Node")],
)
async def test_session_says_that_its_node_is_too_old_or_missing(
    database_url: str, whatsapp: FakeWhatsApp, tmp_path: Path, script: str | None, sentence: str
) -> None:
    node = tmp_path / "node"
    if script:
        node.write_text(script)
        node.chmod(0o755)
    async with node_at(database_url, whatsapp, node=node) as gateway, gateway.opened("ana") as ana:
        with pytest.raises(SessionUnavailable, match=sentence):
            await ana.session.execute(ReadQrCode())
        state = await ana.wait_for(ConnectionChanged, lambda c: sentence in str(c.reason))
        assert state.state is ConnectionState.UNPAIRED
