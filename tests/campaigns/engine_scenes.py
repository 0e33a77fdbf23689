"""Scenes of engines: an instance of Baileys and one of whatsmeow write to each other.

Both reach the fake WhatsApp server. What one of them accepts, the other must decrypt, once.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import permutations
from typing import Any

import httpx

from tests.campaigns.tour import InsistentClient, Tour
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Demo, client_of
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.whatsmeow_node import new_phone

ENGINES = ("baileys", "whatsmeow")


class EngineLine(InsistentClient):
    """An instance of an engine, as its owner calls it, and its phone."""

    def __init__(self, demo: Demo, http: httpx.AsyncClient) -> None:
        super().__init__(demo, http)
        self.phone = new_phone()


@dataclass
class Engines:
    """The instances, what they wrote to each other, and the server between them."""

    whatsapp: FakeWhatsApp
    lines: list[EngineLine] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)


@asynccontextmanager
async def linked_engines(tour: Tour, whatsapp: FakeWhatsApp) -> AsyncIterator[None]:
    """Makes an instance of each engine, and links its phone."""
    tour.engines = engines = Engines(whatsapp)
    async with AsyncExitStack() as stack:
        for provider in ENGINES:
            new = {"name": provider, "provider": provider}
            made = (await tour.partner("POST", "/instances/integrator/on-demand", json=new)).json()
            demo = replace(tour.line.demo, instance_id=made["id"], instance_token=made["token"])
            client = await stack.enter_async_context(client_of(tour.gateway, demo))
            line = EngineLine(demo, client.http)
            line.patience_seconds = tour.patience_seconds
            await line.call("PUT", "/update-every-webhooks", json={"value": tour.catcher.url})
            await _link(tour, line)
            engines.lines.append(line)
        yield


def copies_of(tour: Tour) -> Counter[str]:
    """Returns how often each text was reported as decrypted; one callback has one id."""
    found = {
        (posted.id, posted.body["text"]["message"])
        for posted in tour.catcher.delivered
        if posted.body["type"] == "ReceivedCallback" and "text" in posted.body
    }
    return Counter(text for _id, text in found)


async def write_by_engines(tour: Tour) -> None:
    """A text each way; each looks up its contacts."""
    for sender, recipient in permutations(_engines(tour).lines):
        await sender.call("GET", "/contacts", params={"page": 1, "pageSize": 1})
        await _write(tour, sender, recipient)


async def vote_by_engines(tour: Tour) -> None:
    """Each engine asks, and the other one votes."""
    for asker, voter in permutations(_engines(tour).lines):
        await _vote(tour, asker, voter)


async def _vote(tour: Tour, asker: EngineLine, voter: EngineLine) -> None:
    question = tour.text("Which one?")
    poll = {"message": question, "poll": [{"name": "yes"}, {"name": "no"}]}
    sent = await asker.post("/send-poll", {"phone": voter.phone, **poll})
    asked = await _received(tour, lambda body: body.get("poll", {}).get("question") == question)
    vote = {"pollMessageId": asked["messageId"], "pollVote": [{"name": "yes"}]}
    await voter.post("/send-poll-vote", {"phone": asker.phone, **vote})
    # The asker knows the poll by its own id, which is not always that of WhatsApp.
    poll_id = sent["messageId"]
    voted = await _received(
        tour, lambda body: body.get("pollVote", {}).get("pollMessageId") == poll_id
    )
    assert voted["pollVote"]["options"] == [{"name": "yes"}]


async def restart_engines(tour: Tour) -> None:
    """Both engines open their sessions again, and write with keys that they read again."""
    await tour.restart()
    for line in _engines(tour).lines:
        await _connected(tour, line)
    await write_by_engines(tour)


def _engines(tour: Tour) -> Engines:
    assert tour.engines
    return tour.engines


async def _link(tour: Tour, line: EngineLine) -> None:
    """Scans one code: a second one would leave a device without keys among those of the phone."""

    async def scan() -> bool:
        code = (await line.call("GET", "/qr-code")).json().get("value")
        if not isinstance(code, str):
            return False
        answer = await _engines(tour).whatsapp.control("scan", phone=line.phone, code=code)
        return bool(answer["linked"])

    await tour.until(scan, bool, seconds=PATIENCE_SECONDS)
    await _connected(tour, line)


async def _is_connected(line: EngineLine) -> bool:
    return bool((await line.call("GET", "/status")).json().get("connected"))


async def _connected(tour: Tour, line: EngineLine) -> None:
    await tour.until(lambda: _is_connected(line), bool, seconds=PATIENCE_SECONDS)


async def _write(tour: Tour, sender: EngineLine, recipient: EngineLine) -> None:
    await _arrived(tour, await _send(tour, sender, recipient))


async def _send(tour: Tour, sender: EngineLine, recipient: EngineLine) -> str:
    text = tour.text("by an engine")
    await sender.post("/send-text", {"phone": recipient.phone, "message": text})
    _engines(tour).texts.append(text)
    return text


async def _arrived(tour: Tour, text: str) -> None:
    await _received(tour, lambda body: body.get("text", {}).get("message") == text)


async def _received(tour: Tour, is_wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Returns the body of the callback about what the recipient decrypted."""
    found: list[dict[str, Any]] = []

    def look() -> bool:
        found[:] = filter(is_wanted, tour.catcher.of_type("ReceivedCallback"))
        return bool(found)

    await tour.catcher.wait_for(lambda _catcher: look(), tour.patience_seconds)
    return found[0]
