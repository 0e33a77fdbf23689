"""Cuts the connection to Postgres at every statement: `python -m tests.campaigns.cuts`.

For each statement, and for the commit of each transaction: before the server gets it, after the
server ran it and before the answer, and so that the server runs it later than what follows. After
each cut, two lines must send and report three messages each without help.

Several gateways beside each other share the scenes and the statements; see `cut_plan`.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from psycopg import AsyncConnection, connect
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

from gateway.database.migrations import migrate
from gateway.database.pool import Database
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.campaigns.cut_campaign import Campaign
from tests.campaigns.cut_figures import Figures, missing
from tests.campaigns.cut_plan import CutPlan
from tests.campaigns.engine_scenes import linked_engines
from tests.campaigns.message_scenes import send_by_kafka
from tests.campaigns.running_time import RunningTime
from tests.campaigns.scenes import ENGINE_SCENES, SCENES
from tests.campaigns.tour import InsistentClient, Tour
from tests.fixtures.kafka import add_topics, listening_broker, producing
from tests.fixtures.postgres import public_folder
from tests.fixtures.postgres_proxy import BadConnection, Cut, bad_connection
from tests.fixtures.service import Demo, RunningGateway, client_of, new_demo, running_gateway
from tests.fixtures.webhook_catcher import WebhookCatcher
from tests.providers.baileys_node import environment_of
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake
from tests.service.test_documented_routes import World
from tests.service.test_kafka import CONSUME, OUT, PUBLISH, REFUSED, SCHEDULE, SEND, broker_settings

GATEWAYS: Final = 3
"""As many as keep two processors busy: a gateway mostly waits for periods and for its children."""
LIMIT_SECONDS: Final = 10.0
QUICK_MAINTENANCE: Final = "tests.campaigns.short_periods"
SCENE_SECONDS: Final = 180.0


@dataclass(frozen=True, slots=True)
class Rules:
    """How a campaign is played.

    Attributes:
        limit_seconds: after which a line counts as standing.
        patience_seconds: how long a scene or a line that stands is waited for.
        module: which starts the gateway.
        verbose: prints each scene and each cut.
    """

    limit_seconds: float = LIMIT_SECONDS
    patience_seconds: float = SCENE_SECONDS
    module: str = QUICK_MAINTENANCE
    verbose: bool = False


DEFAULT_RULES: Final = Rules()


@asynccontextmanager
async def running_campaign(
    folder: Path, database_url: str, plan: CutPlan, rules: Rules, *, equipment: Collection[str]
) -> AsyncIterator[Campaign]:
    """A gateway behind a bad connection, its two lines and their receiver.

    The gateway is equipped for the scenes that *equipment* names.
    """
    kafka = send_by_kafka.__name__ in equipment
    engines = not ENGINE_SCENES.isdisjoint(equipment)
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(bad_connection(database_url))
        catcher = await stack.enter_async_context(WebhookCatcher().serving())
        broker = await stack.enter_async_context(_broker(wanted=kafka))
        (folder / "whatsapp").mkdir()
        whatsapp = stack.enter_context(running_fake(folder / "whatsapp")) if engines else None
        running = _running(folder, connection.url, broker, whatsapp, rules.module)
        gateway = stack.enter_context(running)
        await gateway.ready()
        tour = await stack.enter_async_context(
            _tour(gateway, catcher, database_url, connection, rules.patience_seconds)
        )
        if broker:
            tour.producer = await stack.enter_async_context(producing(broker))
        if whatsapp:
            await stack.enter_async_context(linked_engines(tour, whatsapp))
        yield Campaign(
            tour,
            connection,
            rules.limit_seconds,
            plan,
            await stack.enter_async_context(RunningTime().running()),
            equipped=bool(equipment),
            verbose=rules.verbose,
        )


@asynccontextmanager
async def _broker(*, wanted: bool) -> AsyncIterator[str | None]:
    if not wanted:
        yield None
        return
    async with listening_broker() as address:
        await add_topics(address, SEND, SCHEDULE, REFUSED, *OUT)
        yield address


@contextmanager
def _running(
    folder: Path, url: str, broker: str | None, whatsapp: FakeWhatsApp | None, module: str
) -> Iterator[RunningGateway]:
    environment = {
        **({**PUBLISH, **CONSUME, **broker_settings(broker)} if broker else {}),
        **(environment_of(whatsapp) if whatsapp else {}),
        "GATEWAY_DRAIN_SECONDS": "10",
        "GATEWAY_HEALTH_SECONDS": "5",
        "GATEWAY_SANDBOX_RECEIPTS": "0",
        "GATEWAY_WEBHOOK_RETRY_BASE_SECONDS": "0.1",
    }
    with running_gateway(folder, url, module=module, **environment) as gateway:
        yield gateway


@asynccontextmanager
async def _tour(
    gateway: RunningGateway,
    catcher: WebhookCatcher,
    url: str,
    connection: BadConnection,
    patience_seconds: float,
) -> AsyncIterator[Tour]:
    database = Database(connection.url, min_size=1, max_size=2)
    async with (
        await AsyncConnection.connect(url, autocommit=True) as operator,
        _insistent(gateway) as line,
        _insistent(gateway, await new_demo(gateway)) as neighbor,
    ):
        await database.open()
        try:
            tour = Tour(gateway, line, neighbor, catcher, operator, database)
            for patient in (tour, line, neighbor):
                patient.patience_seconds = patience_seconds
            for each in (line, neighbor):
                await each.call("PUT", "/update-every-webhooks", json={"value": catcher.url})
            await World(line).prepare()
            yield tour
        finally:
            await database.pool.close()


@asynccontextmanager
async def _insistent(
    gateway: RunningGateway, demo: Demo | None = None
) -> AsyncIterator[InsistentClient]:
    async with client_of(gateway, demo) as client:
        yield InsistentClient(client.demo, client.http)


async def run(
    folder: Path,
    database_url: str,
    *,
    scenes: Collection[str],
    statements: Collection[str] = (),
    cuts: Collection[Cut] = tuple(Cut),
    gateways: int = 1,
    rules: Rules = DEFAULT_RULES,
) -> Figures:
    """Plays the scenes, cuts each statement that they run, or the given ones, and counts.

    Args:
        folder: of the gateways' data.
        database_url: of a migrated database for this campaign alone, which nobody uses yet.
        scenes: names in SCENES.
        statements: names such as `send_queue/claim`; all where there are none.
        cuts: when the connection is lost.
        gateways: how many run beside each other, each with a copy of the database.
        rules: how the campaign is played.
    """
    plan = CutPlan(scenes, plain_gateways=gateways - 1)
    explored = asyncio.Barrier(gateways)

    async def share(number: int, url: str) -> Figures:
        own = folder / str(number)
        own.mkdir()
        running = running_campaign(own, url, plan, rules, equipment=() if number else scenes)
        async with running as campaign:
            await campaign.explore()
            if await explored.wait() == 0:
                plan.choose(statements)
            await explored.wait()
            await campaign.cut_all(cuts)
            await campaign.count()
            return campaign.figures

    with ExitStack() as stack:
        copies = [stack.enter_context(_copy_of(database_url, n)) for n in range(1, gateways)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(share(number, url))
                    for number, url in enumerate((database_url, *copies))
                ]
        except asyncio.CancelledError:  # Ctrl-C: each gateway's share is counted all the same
            if (task := asyncio.current_task()) is None or task.uncancel():
                raise
    figures = Figures()
    for task in tasks:
        figures.add(task.result())
    figures.seen = plan.statements | {target.name for target in figures.targets}
    return figures


@contextmanager
def _copy_of(database_url: str, number: int) -> Iterator[str]:
    original = str(conninfo_to_dict(database_url)["dbname"])
    copy = f"{original}_beside_{number}"
    names = Identifier(copy), Identifier(original)
    with connect(database_url, autocommit=True) as operator:
        operator.execute(SQL("create database {} template {}").format(*names))
    try:
        yield make_conninfo(database_url, dbname=copy)
    finally:
        with connect(database_url, autocommit=True) as operator:
            operator.execute(SQL("drop database {} with (force)").format(Identifier(copy)))


async def _main(arguments: argparse.Namespace) -> int:
    with public_folder() as folder:
        server = EmbeddedPostgres(folder / "pg", durable=False)
        await server.start()
        try:
            await migrate(server.url)
            data = folder / "data"
            data.mkdir()
            figures = await run(
                data,
                server.url,
                scenes=arguments.scenes or tuple(SCENES),
                statements=arguments.statements or (),
                gateways=arguments.gateways,
                rules=Rules(limit_seconds=arguments.limit, verbose=True),
            )
        finally:
            await server.stop()
    if not arguments.scenes and not arguments.statements:
        figures.not_cut += missing(figures.seen)
    figures.show()
    return 1 if figures.broken else 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", nargs="*", help="only these scenes")
    parser.add_argument("--statements", nargs="*", help="only these, such as send_queue/claim")
    parser.add_argument("--limit", type=float, default=LIMIT_SECONDS, help="seconds")
    parser.add_argument(
        "--gateways", type=int, default=GATEWAYS, help="how many run beside each other"
    )
    sys.exit(asyncio.run(_main(parser.parse_args())))


if __name__ == "__main__":
    main()
