"""An account has limits, keeps room for what it had, and sees what it uses."""

import base64
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from gateway.settings import Settings
from gateway.settings.account_section import AccountLimits
from tests.fixtures.media import picture
from tests.fixtures.service import Client, client_of, running_gateway

ON_DEMAND = "/instances/integrator/on-demand"
SECRET = {"GATEWAY_SECRET_KEY": "s0123456789abcdef0123456789abcdef"}


def as_partner(client: Client) -> dict[str, str]:
    return {"Authorization": f"Bearer {client.demo.partner_token}"}


async def usage(client: Client) -> Any:
    answer = await client.http.get("/account/usage", headers=as_partner(client))
    assert answer.status_code == httpx.codes.OK, answer.text
    return answer.json()


async def send_picture(client: Client, side: int) -> httpx.Response:
    encoded = base64.b64encode(picture(size=(side, side))).decode()
    return await client.call(
        "POST", "/send-image", json={"phone": "5511999999999", "image": encoded}
    )


def test_limits_are_on_in_production_and_off_in_development() -> None:
    production = Settings.read(SECRET).account_limits()
    development = Settings.read({"GATEWAY_ENV": "development", **SECRET}).account_limits()

    assert production == AccountLimits(
        200, 2_000, 50, 500, 1_000, 50 * 1024**3, 50, 200, 6, 30, 16, 2, 2
    )
    assert development == AccountLimits(0, 1, 0, 1, 0, 0, 50, 200, 6, 30, 16, 2, 2)


def test_a_limit_of_zero_is_none_in_production_too() -> None:
    limits = Settings.read({"GATEWAY_ACCOUNT_MAX_INSTANCES": "0", **SECRET}).account_limits()

    assert limits.max_instances == 0


@pytest.mark.parametrize(("given", "beside_others"), [("1", 1), ("8", 2), ("0", 2)])
def test_account_has_no_more_in_work_beside_others_than_alone(
    given: str, beside_others: int
) -> None:
    limits = Settings.read({"GATEWAY_ACCOUNT_MAX_IN_WORK": given, **SECRET}).account_limits()

    assert limits.max_in_work_beside_others == beside_others


async def test_account_is_refused_above_its_limits_and_sees_them(
    tmp_path: Path, database_url: str
) -> None:
    limits = {
        "GATEWAY_ACCOUNT_MAX_INSTANCES": "2",
        "GATEWAY_ACCOUNT_MAX_STORED_BYTES": "1",
        "GATEWAY_ACCOUNT_MAX_FOLLOWERS": "1",
    }
    with running_gateway(tmp_path, database_url, **limits) as gateway:
        await gateway.ready()
        async with client_of(gateway) as client:
            made = [
                await client.http.post(ON_DEMAND, json={"name": "x"}, headers=as_partner(client))
                for _ in range(2)
            ]
            sent = [await send_picture(client, side) for side in (16, 17)]
            text = await client.call(
                "POST", "/send-text", json={"phone": "5511999999999", "message": "no file"}
            )
            headers = as_partner(client)
            async with client.http.stream("GET", "/events", headers=headers) as following:
                assert following.status_code == httpx.codes.OK
                second = await client.http.get("/events", headers=headers)
                used = await usage(client)

    assert [answer.status_code for answer in made] == [200, 403]
    assert made[1].json()["error"] == (
        "The account has 2 of at most 2 instances: delete one, or have "
        "GATEWAY_ACCOUNT_MAX_INSTANCES raised"
    )
    assert [answer.status_code for answer in sent] == [200, 413]
    assert "GATEWAY_ACCOUNT_MAX_STORED_BYTES" in sent[1].json()["error"]
    assert text.status_code == httpx.codes.OK
    assert second.status_code == httpx.codes.TOO_MANY_REQUESTS
    assert used["instances"] == {"used": 2, "limit": 2}
    assert used["storedBytes"]["limit"] == 1
    assert used["storedBytes"]["used"] > 1
    assert used["followers"] == {"used": 1, "limit": 1}


@pytest.mark.parametrize(("room", "status"), [(3, 200), (1, 403)])
async def test_account_keeps_room_for_what_it_had(
    tmp_path: Path, database_url: str, room: int, status: int
) -> None:
    with running_gateway(tmp_path, database_url, GATEWAY_ACCOUNT_MAX_INSTANCES="1") as gateway:
        await gateway.ready()
        with psycopg.connect(database_url) as connection:
            connection.execute("update accounts set allowed_instances = %s", [room])
        async with client_of(gateway) as client:
            answer = await client.http.post(
                ON_DEMAND, json={"name": "x"}, headers=as_partner(client)
            )
            used = await usage(client)

    assert answer.status_code == status
    assert used["instances"]["limit"] == room
