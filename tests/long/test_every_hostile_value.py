"""Every hostile value in every field of every route; `make test` takes every 31st of them."""

from collections.abc import Iterator

import pytest

from tests.fixtures.hostile_values import hostile_requests, server_errors
from tests.fixtures.service import NewHouse, RunningGateway

pytestmark = pytest.mark.long


@pytest.fixture
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_PACE_MIN_SECONDS="600", GATEWAY_PACE_MAX_SECONDS="600") as gateway:
        yield gateway


async def test_every_hostile_value_in_every_field_is_no_server_error(house: RunningGateway) -> None:
    assert await server_errors(house, tuple(hostile_requests())) == {}
