"""/events/ws streams what /events streams, begins with a ticket, and asks where a page is from."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway

SHOP = "https://shop.example.com"


async def new_ticket(client: Client) -> str:
    bearer = {"Authorization": f"Bearer {client.demo.partner_token}"}
    answer = await client.http.post("/events/ticket", headers=bearer)
    assert answer.status_code == httpx.codes.OK, answer.text
    ticket: str = answer.json()["ticket"]
    return ticket


def address(client: Client, **query: str) -> str:
    url = client.demo.base_url.replace("http", "ws") + "/events/ws"
    return str(httpx.URL(url, params=query))


@asynccontextmanager
async def followed(client: Client, **query: str) -> AsyncIterator[ClientConnection]:
    async with connect(address(client, ticket=await new_ticket(client), **query)) as socket:
        yield socket


async def taken(socket: ClientConnection, kind: str, count: int) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while len(found) < count:
        event = json.loads(await socket.recv())
        if event["event"] == kind:
            found.append(event)
    return found


async def end_of(socket: ClientConnection) -> int | None:
    """Reads until the gateway closes the connection; returns its code."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


async def refusal_of(url: str, **options: Any) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as refused:
        async with connect(url, **options):
            pass
    response = refused.value.response
    return response.status_code, json.loads(response.body or b"{}").get("message", "")


async def test_events_arrive_in_order_and_resume_after_the_last(client: Client) -> None:
    async with followed(client) as socket:
        sent = [(await client.send_text(f"{n}"))["messageId"] for n in range(5)]
        first = await taken(socket, "DeliveryCallback", 2)
    sent += [(await client.send_text(f"{n}"))["messageId"] for n in range(5, 10)]
    async with followed(client, after=first[-1]["id"]) as socket:
        rest = await taken(socket, "DeliveryCallback", 8)

    assert [event["data"]["messageId"] for event in (*first, *rest)] == sent


async def test_ticket_is_good_once_and_only_for_who_has_one(client: Client) -> None:
    ticket = await new_ticket(client)
    async with connect(address(client, ticket=ticket)):
        pass
    token = {"Authorization": f"Bearer {client.demo.partner_token}"}
    async with connect(address(client), additional_headers=token):
        pass

    again = await refusal_of(address(client, ticket=ticket))
    without = await refusal_of(address(client))
    made_up = await refusal_of(address(client, ticket="0" * 64))

    assert [again[0], without[0], made_up[0]] == [401, 401, 401]


async def test_wrong_position_is_refused_in_words(client: Client) -> None:
    status, message = await refusal_of(
        address(client, ticket=await new_ticket(client), after="yesterday")
    )

    assert (status, message) == (400, "after: is not an id of this stream")


async def test_page_of_another_origin_may_connect_only_if_it_is_listed(
    tmp_path: Path, database_url: str
) -> None:
    with running_gateway(tmp_path, database_url, GATEWAY_CORS_ORIGINS=SHOP) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            for origin in (SHOP, client.demo.base_url):
                ticket = await new_ticket(client)
                async with connect(address(client, ticket=ticket), origin=Origin(origin)):
                    pass
            ticket = await new_ticket(client)
            refused = [
                (await refusal_of(address(client, ticket=ticket), origin=Origin(origin)))[0]
                for origin in ("https://evil.example.com", "null", "http://[::1")
            ]
            async with connect(address(client, ticket=ticket)):  # the refusal did not use it
                pass

    assert refused == [403, 403, 403]


async def test_renewed_token_closes_the_socket(
    gateway: RunningGateway, client: Client, command: Any
) -> None:
    unused = await new_ticket(client)
    async with followed(client) as socket:
        await asyncio.to_thread(command, gateway, "accounts", "renew-tokens", "Demo")
        code = await end_of(socket)

    assert code == 1008
    assert (await refusal_of(address(client, ticket=unused)))[0] == 401


async def test_stopping_gateway_says_so_and_large_frames_end_the_socket(
    gateway: RunningGateway, client: Client
) -> None:
    async with followed(client) as talkative:
        await talkative.send("x" * 10_000)
        too_large = await end_of(talkative)
    async with followed(client) as socket:
        stopping = asyncio.create_task(asyncio.to_thread(gateway.stop))
        ended, code = await end_of(socket), await stopping

    assert (too_large, ended, code) == (1009, 1012, 0)


async def test_log_holds_no_ticket_no_token_and_no_error(
    gateway: RunningGateway, client: Client
) -> None:
    ticket, path = await new_ticket(client), f"/instances/x/token/{'5E5AFE' * 5}/status"
    async with connect(address(client, ticket=ticket)):
        pass
    await refusal_of(address(client, ticket=ticket))
    await refusal_of(client.demo.base_url.replace("http", "ws") + path)
    await asyncio.to_thread(gateway.stop)

    assert ticket not in gateway.log
    assert "5E5AFE" not in gateway.log
    assert '"level":"error"' not in gateway.log
