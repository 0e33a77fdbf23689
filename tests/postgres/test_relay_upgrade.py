"""Nodes of two releases call each other while they are replaced, and not for longer."""

from collections.abc import AsyncIterator

import httpx
import pytest
from psycopg import AsyncConnection

from gateway.clock import Clock
from gateway.contract.zapi.instances import ReadDevice
from gateway.database.pool import Database
from gateway.errors import GatewayError
from gateway.sessions.leases import Leases
from gateway.sessions.relay import EarlierReleases, Relay
from tests.fixtures.queue import add_instances

# What a node of the release before leaves when it takes a name: another life, and nothing else.
AS_BEFORE = "update nodes set life = gen_random_uuid() where id = 'owner'"
MIGRATED_LONG_AGO = (
    "update schema_migrations set applied_at = now() - interval '25 hours' where number = 28"
)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = Database(database_url, max_size=4)
    await database.open()
    yield database
    await database.pool.close()


async def may_call(database: Database) -> bool:
    return await EarlierReleases(database, Clock()).may_call()


async def test_earlier_releases_may_call_while_one_lives_and_for_a_day(
    database: Database, operator: AsyncConnection
) -> None:
    leases = Leases(database, Clock(), node_id="owner", lapse_seconds=3_600)
    await leases.join()

    assert await may_call(database)  # the database has just been migrated
    await operator.execute(MIGRATED_LONG_AGO)
    assert not await may_call(database)
    await operator.execute(AS_BEFORE)
    assert await may_call(database)
    await operator.execute("update nodes set expires_at = now()")
    assert not await may_call(database)


@pytest.mark.parametrize("is_earlier", [False, True])
async def test_relay_calls_a_node_in_the_form_that_it_knows(
    database: Database, operator: AsyncConnection, *, is_earlier: bool
) -> None:
    (instance,) = await add_instances(operator, 1, holder="owner")
    leases = Leases(
        database, Clock(), node_id="owner", lapse_seconds=3_600, internal_address="http://owner"
    )
    await leases.join()
    if is_earlier:
        await operator.execute(AS_BEFORE)
    called: list[httpx.Request] = []

    def refuse(request: httpx.Request) -> httpx.Response:
        called.append(request)
        return httpx.Response(403)

    async with httpx.AsyncClient(transport=httpx.MockTransport(refuse)) as http:
        relay = Relay(database, http, bytes, node_id="caller", secret="secret")
        with pytest.raises(GatewayError):
            await relay.execute(instance.id, ReadDevice())

    (call,) = called
    assert call.headers["x-relay-signature"].startswith("2:") is not is_earlier
    assert ("x-relay-nonce" in call.headers) is not is_earlier
