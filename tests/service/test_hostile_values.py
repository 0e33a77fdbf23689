"""No value of a caller is a server error, in any field of any route."""

from collections.abc import Iterator

import pytest

from tests.fixtures.hostile_values import MANY_DIGITS, hostile_requests, server_errors
from tests.fixtures.service import NewHouse, RunningGateway, client_of

REQUESTS = tuple(hostile_requests())
SAMPLE = 31  # every so many requests; a prime, so that every value occurs


@pytest.fixture(scope="module")
def house(new_house: NewHouse) -> Iterator[RunningGateway]:
    with new_house(GATEWAY_PACE_MIN_SECONDS="600", GATEWAY_PACE_MAX_SECONDS="600") as gateway:
        yield gateway


PATHS = (
    f"/media/a/b/c?expires={MANY_DIGITS}&signature=x",
    "/media/a/b/c?expires=%D9%A1&signature=%ED%A0%80",
    "/media/%00/%ED%A0%80/%2F?expires=1",
    "/instances/%00/token/%00/status",
    "/instances/%ED%A0%80/token/%FF/status",
    "{instance}/queue?%ED%A0%80=%00&page=%FF",
    "{instance}/%00",
)
HEADERS = (
    ("Range", f"bytes={MANY_DIGITS}-"),
    ("Range", "bytes=\xb2-\xb3"),
    ("Prefer", f"wait={MANY_DIGITS}"),
    ("Idempotency-Key", "\xff"),
    ("Client-Token", "\xff"),
    ("Authorization", "Bearer \xff"),
    ("X-Forwarded-For", ",".join(["::ffff:1"] * 5_000)),
    ("Host", "\xb2:99999999"),
    ("Accept", "*/*;q=1e999"),
)
EVENT_IDS = (f"{MANY_DIGITS}-{MANY_DIGITS}", f"1-{2**63}", "\xff")  # a right one begins a stream


async def test_hostile_values_are_no_server_error(house: RunningGateway) -> None:
    assert await server_errors(house, REQUESTS[::SAMPLE]) == {}


async def test_hostile_headers_and_paths_are_no_server_error(house: RunningGateway) -> None:
    found: dict[str, int] = {}
    async with client_of(house) as client:
        paths = [path.replace("{instance}", client.instance) for path in PATHS]
        requests = [
            *((path, name, value) for path in paths for name, value in HEADERS),
            *(("/events", "Last-Event-ID", value) for value in EVENT_IDS),
        ]
        for path, name, value in requests:
            answer = await client.http.get(path, headers={name.encode(): value.encode("latin-1")})
            if answer.is_server_error:
                found[f"{path[:60]} {name}"] = answer.status_code

    assert found == {}
