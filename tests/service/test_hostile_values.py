"""No value of a caller is a server error, in any field of any route."""

from collections.abc import Iterator, Sequence

import httpx
import pytest

from tests.fixtures.hostile_values import HostileRequest, hostile_requests
from tests.fixtures.service import NewHouse, RunningGateway, client_of

REQUESTS = tuple(hostile_requests())
SAMPLE = 31  # every so many requests; a prime, so that every value occurs


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_PACE_MIN_SECONDS="600", GATEWAY_PACE_MAX_SECONDS="600") as gateway:
        yield gateway


async def server_errors(
    gateway: RunningGateway, requests: Sequence[HostileRequest]
) -> dict[str, str]:
    """Returns the requests that were answered 500, with the answers."""
    found: dict[str, str] = {}
    async with client_of(gateway) as client:
        token = {"Authorization": f"Bearer {client.demo.partner_token}"}
        for request in requests:
            path = request.path if request.absolute else client.instance + request.path
            answer = await client.http.request(
                request.method,
                path,
                params=request.query or None,
                json=request.body,
                headers=token if request.absolute else None,
            )
            if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
                found[str(request)] = answer.text
    return found


async def test_hostile_values_are_no_server_error(house: RunningGateway) -> None:
    assert await server_errors(house, REQUESTS[::SAMPLE]) == {}


@pytest.mark.long
async def test_every_hostile_value_in_every_field_is_no_server_error(house: RunningGateway) -> None:
    assert await server_errors(house, REQUESTS) == {}
