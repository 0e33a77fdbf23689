"""A session of Baileys uses the proxy of its instance, for files and history too."""

from pathlib import Path

import pytest

from gateway.contract.extensions.proxies import Proxy
from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.contract.media import MediaFile
from gateway.contract.zapi.messages.media import SendImage
from gateway.sessions.provider import HistoryReceived
from tests.fixtures.proxies import Kind, local_proxy
from tests.providers.baileys_node import Node
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_messages import PIXEL
from tests.providers.whatsmeow_node import OpenSession, Pair

PROVIDERS = ("baileys",)
CHAT, FILES = "web.whatsapp.com:443", "mmg.whatsapp.net:443"


async def send_picture(line: OpenSession, phone: str, path: Path) -> str:
    file = MediaFile(path, "image/png", len(PIXEL), "")
    picture = SendImage.model_validate({"phone": phone, "image": "file"})
    return (await line.send(picture, "PICTURE", file=file)).provider_message_id


async def fetch_picture(line: OpenSession, message_id: str, path: Path) -> None:
    (file,) = (await line.wait_for_message(message_id)).files
    await line.session.execute(ReadReceivedFile(reference=file.reference, path=path))


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
async def test_files_and_history_go_through_the_proxy(
    town: Node, pair: Pair, whatsapp: FakeWhatsApp, kind: Kind, tmp_path: Path
) -> None:
    _ana, bob = pair
    here, there = tmp_path / "here", tmp_path / "there"
    here.write_bytes(PIXEL)
    async with local_proxy(
        kind, beyond=whatsapp.port, login="ana:secret", certificate=whatsapp.certificate
    ) as proxy:
        url = proxy.url.replace("socks5", "SOCKS5")  # callers may write it in capitals
        async with town.opened(f"files over {kind}", proxy=Proxy(proxy_url=url)) as mia:
            await mia.link()
            assert set(proxy.targets) == {CHAT}

            sent = await send_picture(mia, bob.phone, here)
            uploads = proxy.targets.count(FILES)
            assert uploads
            await fetch_picture(bob, sent, there)
            assert there.read_bytes() == PIXEL
            assert proxy.targets.count(FILES) == uploads

            sent = await send_picture(bob, mia.phone, here)
            await fetch_picture(mia, sent, there)
            assert there.read_bytes() == PIXEL
            downloads = proxy.targets.count(FILES)
            assert downloads > uploads

            chat = {"ID": f"{bob.phone}@s.whatsapp.net", "conversationTimestamp": 1_790_000_000}
            history = {"syncType": "INITIAL_BOOTSTRAP", "conversations": [chat]}
            await whatsapp.control("synchronise", phone=mia.phone, history=history)
            await mia.wait_for(HistoryReceived)
            assert proxy.targets.count(FILES) > downloads
