"""A customer links a phone with a link, and nothing is sent before the owner knows which one."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from tests.fixtures.service import Client, NewHouse, RunningGateway, client_of, guest_of, until

WANTED, OTHER = "5511987654321", "5511911111111"
ENGLISH = {"Accept-Language": "en"}


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    """A gateway that logs at DEBUG."""
    with new_house(GATEWAY_LOG_LEVEL="DEBUG") as gateway:
        yield gateway


@pytest.fixture
async def client(house: RunningGateway) -> AsyncIterator[Client]:
    async with guest_of(house) as client:
        yield client


async def unlinked(client: Client) -> None:
    await until(lambda: is_connected(client), bool)
    await client.control("connection", state="logged_out")
    await until(lambda: is_connected(client), lambda connected: not connected)


async def is_connected(client: Client) -> bool:
    return bool((await client.call("GET", "/status")).json()["connected"])


async def new_link(client: Client, **fields: Any) -> str:
    answer = await client.call("POST", "/link", json=fields)
    assert answer.status_code == 201, answer.text
    url = httpx.URL(answer.json()["url"])
    assert re.fullmatch("/panel/link-phone/[0-9a-f]{64}", url.path)
    return url.path


async def state_of(client: Client) -> dict[str, Any]:
    answer = await client.call("GET", "/link")
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def visit(client: Client, path: str) -> httpx.Response:
    """Opens a page as a browser without any credential of the instance."""
    async with httpx.AsyncClient(base_url=client.http.base_url, headers=ENGLISH) as browser:
        return await browser.get(path)


async def until_linked(client: Client) -> dict[str, Any]:
    return await until(lambda: state_of(client), lambda link: link["status"] != "waiting")


async def test_killed_after_a_linking_sends_nothing_before_the_owner_confirms(
    gateway: RunningGateway,
) -> None:
    async with client_of(gateway) as client:
        await until(lambda: is_connected(client), bool)
        refused = await client.call("POST", "/link", json={})
        await unlinked(client)
        await client.send_text("waits")
        path = await new_link(client)
        page = await visit(client, path)
        shown = await state_of(client)

        await client.control("scan", phone=OTHER)
        linked = await until_linked(client)
        gateway.kill()
        gateway.start()
        await gateway.ready()
        await until(lambda: is_connected(client), bool)
        stats = (await client.call("GET", "/queue/stats")).json()
        done = await visit(client, path + "/state")
        before = await client.sent()
        confirmed = await client.call("POST", "/link/confirm")
        sent = await client.sent_at_least(1)

    assert refused.status_code == 409
    assert page.status_code == 200
    assert "<svg" in page.text
    assert "Point the phone at this code" in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["x-robots-tag"] == "noindex, nofollow"
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert (shown["status"], shown["codesLeft"]) == ("waiting", 89)
    assert (linked["status"], linked["awaitingConfirmation"]) == ("linked", True)
    assert stats["holdReason"].endswith("confirm it")
    assert (stats["holdUntil"], stats["secondsToEmpty"]) == (None, None)
    assert "Your phone is linked. You may close this page." in done.text
    assert "hx-get" not in done.text
    assert before == []
    assert confirmed.json() == {"value": True}
    assert len(sent) == 1


async def test_wrong_phone_is_logged_out_and_the_right_one_sends(
    house: RunningGateway, client: Client
) -> None:
    await unlinked(client)
    await client.send_text("waits")
    first = await new_link(client, phone=WANTED, expiresInMinutes=5)
    await visit(client, first)
    await client.control("scan", phone=OTHER)
    wrong = await until_linked(client)
    await until(lambda: is_connected(client), lambda connected: not connected)
    told = await visit(client, first)
    before = await client.sent()

    second = await new_link(client, phone=WANTED)
    replaced = await visit(client, first)
    await visit(client, second)
    await client.control("scan", phone=WANTED)
    linked = await until_linked(client)
    sent = await client.sent_at_least(1)
    log = house.log
    partner = {"Authorization": f"Bearer {client.demo.partner_token}"}
    acts = (await client.http.get("/account/audit", headers=partner)).json()

    assert wrong["status"] == "wrong_phone"
    assert "This link is for another number" in told.text
    assert before == []
    assert (replaced.status_code, "hx-get" in replaced.text) == (404, False)
    assert (linked["status"], linked["awaitingConfirmation"]) == ("linked", False)
    assert len(sent) == 1
    assert ("Disconnect", "phone_link", "done") in [
        (act["act"], act["credential"], act["outcome"]) for act in acts
    ]
    assert "wrong_phone_logged_out" in log
    assert "/panel/link-phone/{token}" in log
    assert [path for path in (first, second) if path.rpartition("/")[2] in log] == []
    assert OTHER not in log


async def test_customer_links_with_a_pairing_code(client: Client) -> None:
    await unlinked(client)
    path = await new_link(client, phone=WANTED)
    async with httpx.AsyncClient(base_url=client.http.base_url, headers=ENGLISH) as browser:
        form = await browser.get(path)
        token = re.search('name="csrf_token" value="([0-9a-f]+)"', form.text)
        assert token, form.text
        given = {"csrf_token": token[1]}
        other = await browser.post(path, data={**given, "phone": OTHER})
        mine = await browser.post(path, data={**given, "phone": f"+{WANTED}"})
        foreign = await browser.post(path, data={"phone": WANTED})
    revoked = await client.call("DELETE", "/link")
    again = await client.call("DELETE", "/link")
    ended = await visit(client, path)

    assert "Write the number that this link is for" in other.text
    assert re.search(r'class="pairing-code">[0-9A-Z]{4}-[0-9A-Z]{4}<', mine.text)
    assert foreign.status_code == 403
    assert (revoked.status_code, again.status_code) == (200, 200)
    assert "This link was withdrawn" in ended.text
    assert "<form" not in ended.text
    assert (await client.call("POST", "/link/confirm")).status_code == 409


@pytest.mark.parametrize("minutes", [0, 1_441])
async def test_link_with_a_life_out_of_bounds_is_refused(client: Client, minutes: int) -> None:
    answer = await client.call("POST", "/link", json={"expiresInMinutes": minutes})

    assert answer.status_code == 400
    assert "expiresInMinutes" in answer.json()["error"]
