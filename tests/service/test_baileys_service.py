"""The whole gateway with Baileys: one phone of an instance, the other of one with whatsmeow."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from gateway.sessions.connection import ConnectionState
from tests.fixtures.media import picture
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import RunningGateway, running_gateway, until
from tests.fixtures.webhook_catcher import WebhookCatcher
from tests.fixtures.whatsmeow import (
    RECIPIENT,
    SENDER,
    Instance,
    children_of,
    new_instance,
    partner_of,
)
from tests.providers.baileys_node import environment_of
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake

_NODE = "baileys/child/main.mjs"
_PICTURE = picture()
_TEXTS = 7


@pytest.fixture
def whatsapp(tmp_path: Path) -> Iterator[FakeWhatsApp]:
    folder = tmp_path / "whatsapp"
    folder.mkdir()
    with running_fake(folder) as fake:
        yield fake


@dataclass
class Person:
    """An instance, its phone, and the callbacks that its owner received."""

    instance: Instance
    phone: str
    catcher: WebhookCatcher

    async def callback(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Returns the first callback of this type that has these fields."""

        def found(catcher: WebhookCatcher) -> list[dict[str, Any]]:
            return [
                posted.body
                for posted in catcher.posted
                if posted.path == f"/hook/{self.phone}"
                and posted.body["type"] == kind
                and all(posted.body.get(name) == value for name, value in fields.items())
            ]

        await self.catcher.wait_for(lambda catcher: bool(found(catcher)))
        return found(self.catcher)[0]

    async def write_to(self, other: "Person", text: str) -> str:
        """Sends a text, and returns its id once both owners have their callbacks."""
        body = {"phone": other.phone, "message": text}
        message_id = str((await self.instance.call("POST", "/send-text", json=body))["messageId"])
        received = await other.callback("ReceivedCallback", text={"message": text})
        assert (received["phone"], received["fromMe"]) == (self.phone, False)
        delivered = await self.callback("DeliveryCallback", messageId=message_id)
        assert delivered.get("error") is None
        return message_id

    async def write_and_see_receipt(self, other: "Person", text: str) -> None:
        """Not for a recipient that may connect at this moment: its receipt may count for nothing.

        A device sends it as inactive until it has shown that it is available.
        """
        message_id = await self.write_to(other, text)
        await self.callback("MessageStatusCallback", status="RECEIVED", ids=[message_id])


@asynccontextmanager
async def two_people(
    gateway: RunningGateway, catcher: WebhookCatcher
) -> AsyncIterator[tuple[Person, Person]]:
    """Ana has Baileys and Bob whatsmeow; neither is linked."""
    async with partner_of(gateway) as http:
        people = []
        for provider, phone in (("baileys", SENDER), ("whatsmeow", RECIPIENT)):
            instance = await new_instance(http, provider, provider=provider)
            where = f"{catcher.url}/{phone}"
            await instance.call("PUT", "/update-every-webhooks", json={"value": where})
            people.append(Person(instance, phone, catcher))
        ana, bob = people
        yield ana, bob


async def children_when(gateway: RunningGateway, count: int) -> list[psutil.Process]:
    async def look() -> list[psutil.Process]:
        return children_of(gateway, _NODE)

    return await until(look, lambda found: len(found) == count)


async def link_by_code(person: Person, whatsapp: FakeWhatsApp) -> None:
    answer = await until(
        lambda: person.instance.answer("GET", f"/phone-code/{person.phone}"),
        lambda seen: seen.status_code != httpx.codes.SERVICE_UNAVAILABLE,
    )
    code = answer.json()["code"]
    assert (await whatsapp.control("type", phone=person.phone, code=code))["linked"]
    await until(person.instance.connected, bool)


async def test_baileys_instance_lives_through_kills_restarts_and_a_new_linking(
    tmp_path: Path,
    memory_path: Path,
    database_url: str,
    whatsapp: FakeWhatsApp,
    catcher: WebhookCatcher,
) -> None:
    (tmp_path / "whatsmeow").symlink_to(memory_path)
    environment = environment_of(whatsapp) | {"GATEWAY_WHATSMEOW_KEYS": "file"}
    with running_gateway(tmp_path, database_url, **environment) as gateway:
        await gateway.ready()
        async with two_people(gateway, catcher) as (ana, bob):
            await asyncio.gather(
                *(person.instance.link(whatsapp, person.phone) for person in (ana, bob))
            )
            connected = await ana.callback("ConnectedCallback")
            assert (connected["instanceId"], connected["phone"]) == (ana.instance.id, ana.phone)

            await ana.write_and_see_receipt(bob, "first")
            await bob.write_and_see_receipt(ana, "answer")
            await bob.instance.call(
                "POST",
                "/send-image",
                json={
                    "phone": ana.phone,
                    "image": f"data:image/png;base64,{base64.b64encode(_PICTURE).decode()}",
                    "caption": "a square",
                },
            )
            await ana.catcher.wait_for(lambda c: any("image" in p.body for p in c.posted))
            (image,) = [p.body["image"] for p in catcher.posted if "image" in p.body]
            assert image["caption"] == "a square"
            async with httpx.AsyncClient(trust_env=False) as http:
                stored = await http.get(image["imageUrl"])
                assert (stored.headers["content-type"], stored.status_code) == (
                    image["mimeType"],
                    httpx.codes.OK,
                )

            (node,) = await children_when(gateway, 1)
            node.kill()
            await ana.write_to(bob, "after the kill of the child")
            await bob.write_to(ana, "answer after the kill of the child")

            orphans = await children_when(gateway, 1)
            gateway.kill()
            await asyncio.to_thread(psutil.wait_procs, orphans, timeout=PATIENCE_SECONDS)
            assert not any(process.is_running() for process in orphans)
            gateway.start()
            await gateway.ready()
            await ana.write_to(bob, "after the kill of the gateway")
            assert gateway.stop() == 0
            gateway.start()
            await gateway.ready()
            await bob.write_to(ana, "after a restart")

            await ana.instance.call("GET", "/disconnect")
            await ana.callback("DisconnectedCallback", error=ConnectionState.LOGGED_OUT.sentence)
            assert not await ana.instance.connected()
            state = await whatsapp.control("state")
            assert state["devices"][ana.phone] == [0]
            await link_by_code(ana, whatsapp)
            await ana.write_to(bob, "linked again")
        # A callback that is posted again, because the answer was late, has the same id.
        texts = {
            posted.id: (posted.path, posted.body["text"]["message"])
            for posted in catcher.posted
            if "text" in posted.body
        }
        assert len(set(texts.values())) == len(texts) == _TEXTS
