"""The routes of connections, and their card in the panel, of a gateway that checks often."""

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.contract.scopes import UserRole
from tests.fixtures.panel import account_of, browser_of, people_of, visitor
from tests.fixtures.service import Client, NewHouse, RunningGateway, until

_EVERY_SECONDS = "0.2"


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_HEALTH_SECONDS=_EVERY_SECONDS) as gateway:
        yield gateway


async def active(client: Client) -> dict[str, Any]:
    answer = await client.call("GET", "/connections")
    assert answer.status_code == 200, answer.text
    (only,) = answer.json()["connections"]
    return dict(only)


async def with_health(client: Client, *statuses: str) -> dict[str, Any]:
    return await until(lambda: active(client), lambda found: found["health"]["status"] in statuses)


async def test_recover_opens_the_session_again_and_keeps_the_phone(client: Client) -> None:
    before = await with_health(client, "healthy")

    answer = await client.call("POST", "/connection/recover")

    assert (answer.status_code, answer.json()) == (200, {"value": True})
    after = await until(
        lambda: active(client),
        lambda found: found["connected"] and found["since"] > before["since"],
    )
    assert (after["id"], after["state"]) == (before["id"], "connected")
    await client.send_text("still linked")
    assert len(await client.sent_at_least(1)) == 1


async def test_failing_connection_is_unhealthy_until_whatsapp_answers_again(
    client: Client,
) -> None:
    await with_health(client, "healthy")
    await client.control("connection", state="down")
    bad = await with_health(client, "unhealthy")
    await client.control("connection", state="up")
    recovered = await client.call("POST", "/connection/recover")

    again = await with_health(client, "recovering")

    assert bad["health"]["reason"]
    assert bad["health"]["errorRate"] > 0
    assert (bad["lastError"], bad["repairs"]) == (bad["health"]["reason"], 1)
    assert bad["nextRepairAt"]
    assert recovered.status_code == 200
    assert (again["connected"], again["health"]["reason"]) == (True, None)


async def test_second_connection_of_a_provider_is_refused(client: Client) -> None:
    answer = await client.call("POST", "/connections", json={"provider": "sandbox"})
    only = await active(client)
    deleted = await client.call("DELETE", f"/connections/{only['id']}")

    assert (answer.status_code, deleted.status_code) == (409, 409)
    assert (await active(client))["id"] == only["id"]


async def test_panel_shows_a_failing_connection_and_repairs_it(
    client: Client, host: RunningGateway
) -> None:
    page = f"/panel/instances/{client.demo.instance_id}"
    async with visitor(host, client) as owner:
        await with_health(client, "healthy")
        well = (await owner.get(page)).text
        await client.control("connection", state="down")
        await with_health(client, "unhealthy")
        bad = (await owner.get(page)).text
        answer = await owner.post(f"{page}/recover")

    assert (answer.status_code, answer.headers["location"]) == (303, page)
    for text in ("Healthy", "WhatsApp answers within", "Repair now"):
        assert text in well
    for text in ("Unhealthy", "Failed checks", "Opened again", "next at", "Repair now"):
        assert text in bad


async def test_viewer_reads_the_card_in_his_language_without_the_button(
    client: Client, host: RunningGateway
) -> None:
    await with_health(client, "healthy")
    async with people_of(host) as people:
        email = await people.add(
            UserRole.VIEWER, await account_of(client), language="pt-BR", password=None
        )
        async with browser_of(host, session=await people.session_of(email)) as http:
            page = (await http.get(f"/panel/instances/{client.demo.instance_id}")).text

    for text in ("Conex\u00f5es", "Saud\u00e1vel", "O WhatsApp resp"):
        assert text in page
    assert "Reparar agora" not in page
