"""Cuts the connection to Postgres at every statement: `python -m tests.campaigns.cuts`.

For each statement, and for the commit of each transaction: before the server gets it, after the
server ran it and before the answer, and so that the server runs it later than what follows. After
each cut, two lines must send and report three messages each without help.
"""

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Final

from psycopg import AsyncConnection

from gateway.database.migrations import migrate
from gateway.database.pool import Database
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.campaigns.cut_campaign import Campaign
from tests.campaigns.cut_figures import Figures, missing
from tests.campaigns.scenes import SCENES
from tests.campaigns.tour import InsistentClient, Tour
from tests.fixtures.kafka import add_topics, listening_broker, producing
from tests.fixtures.postgres import public_folder
from tests.fixtures.postgres_proxy import BadConnection, Cut, bad_connection
from tests.fixtures.service import Demo, RunningGateway, client_of, new_demo, running_gateway
from tests.fixtures.webhook_catcher import WebhookCatcher
from tests.service.test_documented_routes import World
from tests.service.test_kafka import CONSUME, OUT, PUBLISH, REFUSED, SCHEDULE, SEND, broker_settings

LIMIT_SECONDS: Final = 10.0
QUICK_MAINTENANCE: Final = "tests.campaigns.short_periods"
SCENE_SECONDS: Final = 60.0


@asynccontextmanager
async def running_campaign(
    folder: Path,
    database_url: str,
    *,
    limit_seconds: float,
    patience_seconds: float,
    kafka: bool,
    module: str,
) -> AsyncIterator[Campaign]:
    """A gateway behind a bad connection, its two lines and their receiver."""
    async with (
        bad_connection(database_url) as connection,
        WebhookCatcher().serving() as catcher,
        _broker(wanted=kafka) as broker,
    ):
        with _running(folder, connection.url, broker, module) as gateway:
            await gateway.ready()
            async with _tour(gateway, catcher, database_url, connection, patience_seconds) as tour:
                if broker:
                    async with producing(broker) as tour.producer:
                        yield Campaign(tour, connection, limit_seconds)
                else:
                    yield Campaign(tour, connection, limit_seconds)


@asynccontextmanager
async def _broker(*, wanted: bool) -> AsyncIterator[str | None]:
    if not wanted:
        yield None
        return
    async with listening_broker() as address:
        await add_topics(address, SEND, SCHEDULE, REFUSED, *OUT)
        yield address


@contextmanager
def _running(folder: Path, url: str, broker: str | None, module: str) -> Iterator[RunningGateway]:
    kafka = {**PUBLISH, **CONSUME, **broker_settings(broker)} if broker else {}
    environment = {
        **kafka,
        "GATEWAY_DRAIN_SECONDS": "10",
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
    limit_seconds: float = LIMIT_SECONDS,
    patience_seconds: float = SCENE_SECONDS,
    module: str = QUICK_MAINTENANCE,
    verbose: bool = False,
) -> Figures:
    """Plays the scenes, cuts each statement that they run, or the given ones, and counts.

    Args:
        folder: of the gateway's data.
        database_url: of a migrated database for this campaign alone.
        scenes: names in SCENES.
        statements: names such as `send_queue/claim`; all where there are none.
        cuts: when the connection is lost.
        limit_seconds: after which a line counts as standing.
        patience_seconds: how long a scene or a line that stands is waited for.
        module: which starts the gateway.
        verbose: prints each cut.
    """
    async with running_campaign(
        folder,
        database_url,
        limit_seconds=limit_seconds,
        patience_seconds=patience_seconds,
        kafka="send_by_kafka" in scenes,
        module=module,
    ) as campaign:
        campaign.verbose = verbose
        await campaign.explore(scenes)
        try:
            for target in campaign.targets(statements):
                for cut in cuts:
                    await campaign.cut(target, cut)
        except asyncio.CancelledError:  # Ctrl-C: shows what was counted so far
            task = asyncio.current_task()
            if task is None or not task.uncancel() == 0:
                raise
            campaign.connection.spare()
        await campaign.count()
        followers = {target.name for target in campaign.figures.targets}
        campaign.figures.seen = campaign.scenes.keys() | followers
        return campaign.figures


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
                limit_seconds=arguments.limit,
                verbose=True,
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
    sys.exit(asyncio.run(_main(parser.parse_args())))


if __name__ == "__main__":
    main()
