"""The whole gateway with whatsmeow outlives an outage of the database longer than its leases.

Prints its figure: pytest -s -m long tests/long/test_whatsmeow_outage.py
"""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from psycopg import AsyncConnection

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres_proxy import BadConnection, bad_connection
from tests.fixtures.service import RunningGateway, running_gateway, until
from tests.fixtures.whatsmeow import (
    RECIPIENT,
    SENDER,
    Instance,
    children_when,
    new_instance,
    partner_of,
)
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake

pytestmark = pytest.mark.long

_ANOTHER_TAKES_IT = (
    "update nodes set expires_at = now()",
    "insert into nodes (id, expires_at) values ('another', 'infinity')",
    "update instance_leases set node_id = 'another', epoch = epoch + 1 where instance_id = %(id)s",
)


@pytest.fixture
def whatsapp(tmp_path: Path) -> Iterator[FakeWhatsApp]:
    folder = tmp_path / "whatsapp"
    folder.mkdir()
    with running_fake(folder) as fake:
        yield fake


class Outages:
    """The database goes silent until every lease has lapsed, and every child is isolated."""

    def __init__(
        self, gateway: RunningGateway, proxy: BadConnection, operator: AsyncConnection
    ) -> None:
        self._gateway, self._proxy, self.operator = gateway, proxy, operator

    async def begin(self, children: int) -> None:
        isolated = self._isolated() + children
        self._proxy.freeze()

        async def look() -> bool:
            found = await self.operator.execute("select bool_and(expires_at < now()) from nodes")
            (has_lapsed,) = await found.fetchone() or (False,)
            return self._isolated() >= isolated and bool(has_lapsed)

        await until(look, bool)

    def end(self) -> None:
        self._proxy.thaw()

    def _isolated(self) -> int:
        return self._gateway.log.count('"phase":"complete"')


async def send_until_accepted(instance: Instance, text: str) -> None:
    async def accepted() -> bool:
        try:
            await instance.send(text)
        except AssertionError:  # the database was away
            return False
        return True

    await until(accepted, bool)


async def test_whatsmeow_outage_keeps_the_processes_of_leases_that_no_node_took(
    tmp_path: Path, database_url: str, whatsapp: FakeWhatsApp
) -> None:
    async with (
        bad_connection(database_url) as proxy,
        await AsyncConnection.connect(database_url, autocommit=True) as operator,
    ):
        settings = {"GATEWAY_LEASE_SECONDS": "4", "GATEWAY_STATEMENT_SECONDS": "1"}
        with running_gateway(tmp_path, proxy.url, **whatsapp.environment, **settings) as gateway:
            await gateway.ready()
            async with partner_of(gateway) as http:
                sender = await new_instance(http, "sender")
                await sender.link(whatsapp, SENDER)
                (of_sender,) = await children_when(gateway, 1)
                recipient = await new_instance(http, "recipient")
                await recipient.link(whatsapp, RECIPIENT)
                children = await children_when(gateway, 2)
                opened = gateway.log.count('"state":"connecting"')
                outages = Outages(gateway, proxy, operator)

                await outages.begin(len(children))
                assert (await whatsapp.control("state"))["online"] == []
                outages.end()
                ended = time.monotonic()
                await send_until_accepted(sender, "after the outage")
                await whatsapp.state_when(lambda state: len(state["sent"]) == 1)
                print(f"first message {time.monotonic() - ended:.1f} s after the outage")  # noqa: T201
                assert {p.pid for p in await children_when(gateway, 2)} == {p.pid for p in children}
                assert await sender.connected()
                assert '"state":"disconnected"' not in gateway.log
                assert gateway.log.count('"state":"connecting"') == opened
                assert "whatsmeow_session_died" not in gateway.log

                await outages.begin(len(children))
                async with operator.transaction():
                    for statement in _ANOTHER_TAKES_IT:
                        await operator.execute(statement, {"id": sender.id})
                outages.end()
                await asyncio.to_thread(of_sender.wait, PATIENCE_SECONDS)
                await whatsapp.state_when(lambda state: state["online"] == [RECIPIENT])
                (left,) = await children_when(gateway, 1)
                assert left in children
            gateway.kill()  # a polite end would wait for the proxy of this process
