"""The panel on nodes that own no phone, behind one address; pages outlive the nodes."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from gateway.contract.scopes import UserRole
from gateway.database.pool import Database
from gateway.instances.creation import NewInstance
from gateway.instances.tokens import TokenVault
from tests.fixtures.cluster import LEASE_SECONDS, SECRET, Cluster
from tests.fixtures.panel import People
from tests.fixtures.panel_browser import chromium, context_of, new_tab
from tests.fixtures.service import RunningGateway, free_port, running_gateway, until
from tests.service.test_docs_page import IN_A_BROWSER

pytestmark = IN_A_BROWSER
FRONTS = ("front-1", "front-2")


@dataclass
class Balancer:
    """One address before several nodes: each connection goes to the first that takes it."""

    nodes: Sequence[RunningGateway]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for node in self.nodes:
            with suppress(OSError):
                target = await asyncio.open_connection("127.0.0.1", node.port)
                break
        else:
            writer.close()
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(_copy(reader, target[1]))
            group.create_task(_copy(target[0], writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@asynccontextmanager
async def balanced(nodes: Sequence[RunningGateway], folder: Path) -> AsyncIterator[RunningGateway]:
    """Returns the address of all nodes, as if it were one gateway."""
    port = free_port()
    server = await asyncio.start_server(Balancer(nodes).serve, "127.0.0.1", port)
    try:
        yield RunningGateway(folder, {}, port=port)
    finally:
        server.close()


@asynccontextmanager
async def people_of(database_url: str) -> AsyncIterator[People]:
    database = Database(database_url, min_size=1, max_size=2)
    await database.open()
    try:
        yield People(database, TokenVault((SECRET,), os.urandom))
    finally:
        await database.pool.close()


def roles(folder: Path, database_url: str, stack: ExitStack) -> list[RunningGateway]:
    """Starts a node that sends and two that serve, and returns them."""
    nodes = []
    for name, role in (("sender", "sender"), *((front, "api") for front in FRONTS)):
        (folder / name).mkdir()
        node = running_gateway(
            folder / name,
            database_url,
            *("--role", role),
            GATEWAY_NODE_NAME=name,
            GATEWAY_SECRET_KEY=SECRET,
            GATEWAY_LEASE_SECONDS=str(LEASE_SECONDS),
        )
        nodes.append(stack.enter_context(node))
    return nodes


async def pause(node: RunningGateway, instance: NewInstance) -> None:
    async with httpx.AsyncClient(base_url=node.base_url, trust_env=False) as http:
        path = f"/instances/{instance.id}/token/{instance.token}/queue/pause"
        answer = await http.post(path, json={})
        assert answer.status_code == httpx.codes.OK, answer.text


async def test_pages_of_another_node_are_live_and_outlive_the_node_that_served_them(
    tmp_path: Path, database_url: str
) -> None:
    with ExitStack() as started:
        sender, *fronts = roles(tmp_path, database_url, started)
        for front in fronts:
            await front.ready()
        cluster = Cluster([sender, *fronts], database_url)
        (instance,) = await cluster.add_instances(1, paired=False)
        ((account_id,),) = await cluster.rows(
            "select account_id from instances where id = %s", instance.id
        )
        await until(cluster.leaseholders, lambda held: held == {"sender"})
        async with AsyncExitStack() as opened:
            address = await opened.enter_async_context(balanced(fronts, tmp_path))
            people = await opened.enter_async_context(people_of(database_url))
            browser = await opened.enter_async_context(chromium())
            email = await people.add(UserRole.OWNER, str(account_id), password=None)
            session = await people.session_of(email)
            context = await context_of(browser, address, session=session)
            page = (await new_tab(context)).page

            # The code and the phone are those of a session on the node that sends.
            await page.goto(f"/panel/instances/{instance.id}")
            await page.wait_for_selector("#qr svg")
            await page.click("button:has-text('simulated phone')")
            await page.wait_for_selector(".state-card h2:has-text('Connected')")
            assert await cluster.leaseholders() == {"sender"}

            async with page.expect_response(lambda answer: "/panel/live?" in answer.url):
                await page.goto(f"/panel/queue?instance={instance.id}")
            await page.wait_for_selector("#q-state-title:has-text('Ready')")
            await page.evaluate("window.isTheSamePage = true")
            async with page.expect_response(lambda a: "/panel/live?" in a.url and a.ok):
                fronts[0].kill()
                await pause(fronts[1], instance)
            await page.wait_for_selector("#q-state-title:has-text('paused')")
            assert await page.evaluate("window.isTheSamePage")
            await context.close()
