"""A session links and sends through the proxy of its instance, and not past it."""

import pytest

from gateway.contract.extensions.proxies import Proxy
from gateway.contract.zapi.instances import ReadQrCode
from gateway.contract.zapi.messages.text import SendText
from gateway.errors import SessionUnavailable
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import MessageReceived
from tests.fixtures.proxies import Kind, local_proxy
from tests.providers.conftest import Town
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import Pair

PROVIDERS = ("whatsmeow", "baileys")


@pytest.mark.parametrize("kind", ["http", "socks5"])
async def test_instance_links_and_sends_through_its_own_proxy(
    town: Town, pair: Pair, whatsapp: FakeWhatsApp, kind: Kind
) -> None:
    name, (_ana, bob) = f"over {kind}", pair
    async with (
        local_proxy(kind, beyond=whatsapp.port, login="ana:secret") as first,
        local_proxy(kind, beyond=whatsapp.port) as second,
    ):
        async with town.opened(name, proxy=Proxy(proxy_url=first.url)) as mia:
            await mia.link()
        linked_through = list(first.targets)
        assert set(linked_through) == {"web.whatsapp.com:443"}

        phone = mia.phone
        async with town.opened(
            name, phone=phone, epoch=2, proxy=Proxy(proxy_url=second.url)
        ) as mia:
            await mia.until_state(ConnectionState.CONNECTED)
            await mia.send(SendText(phone=bob.phone, message="by another way"))
            assert (await bob.wait_for(MessageReceived)).chat == phone
        assert second.targets
        assert first.targets == linked_through


async def test_instance_with_a_failing_proxy_does_not_bypass_it(town: Town) -> None:
    async with (
        local_proxy("http", refuses=403) as proxy,
        town.opened("cut off", proxy=Proxy(proxy_url=proxy.url)) as tom,
    ):
        with pytest.raises(SessionUnavailable, match=r"cannot be reached|proxy"):
            await tom.session.execute(ReadQrCode())
        assert set(proxy.targets) == {"web.whatsapp.com:443"}
