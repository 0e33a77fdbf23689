"""Cuts the connection to Postgres at every statement: `python -m tests.campaigns.cuts`.

For each statement, and for the commit of each transaction: before the server gets it, after the
server ran it and before the answer, and so that the server runs it later than what follows. After
each cut, two lines must send and report three messages each without help.
"""

import argparse
import asyncio
import json
import sys
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from psycopg import AsyncConnection
from typer import echo

from gateway.database.migrations import migrate
from gateway.database.pool import Database
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.campaigns.cut_figures import Figures, Target, missing
from tests.campaigns.scenes import SCENES
from tests.campaigns.statements import COMMITTED, FOLLOWS, sent_forms
from tests.campaigns.tour import InsistentClient, Scene, Tour
from tests.fixtures.kafka import add_topics, listening_broker, producing
from tests.fixtures.postgres import public_folder
from tests.fixtures.postgres_proxy import BadConnection, Cut, bad_connection
from tests.fixtures.service import Demo, RunningGateway, client_of, new_demo, running_gateway
from tests.fixtures.webhook_catcher import WebhookCatcher
from tests.service.test_documented_routes import World
from tests.service.test_kafka import CONSUME, OUT, PUBLISH, REFUSED, SCHEDULE, SEND, broker_settings

LIMIT_SECONDS: Final = 10.0
QUICK_MAINTENANCE: Final = "tests.campaigns.short_periods"
_LATE_SECONDS: Final = 2.0
_CANARIES: Final = 3
_TRIES: Final = 3


@dataclass
class Campaign:
    """Cuts targets one after the other and checks what follows."""

    tour: Tour
    connection: BadConnection
    limit_seconds: float
    verbose: bool = False
    figures: Figures = field(default_factory=Figures)
    scenes: dict[str, list[str]] = field(default_factory=dict)
    """The scenes that run each statement."""
    seconds_of: dict[str, float] = field(default_factory=dict)
    """How long each scene takes without a cut."""

    async def explore(self, scenes: Collection[str]) -> None:
        """Plays each scene once and notes the statements that it runs."""
        names = sent_forms()
        for scene in scenes:
            self.connection.seen.clear()
            began = _now()
            await SCENES[scene](self.tour)
            self.seconds_of[scene] = _now() - began
            for text in tuple(self.connection.seen):
                if text in names:
                    self.scenes.setdefault(names[text], []).append(scene)
        self.connection.seen.clear()

    async def cut(self, target: Target, cut: Cut) -> None:
        lost_at = await self._lose(target, cut)
        if lost_at is None:
            self.figures.not_cut.append(f"{target} {cut.name}")
            self.connection.spare()
            return
        self.figures.targets.add(target)
        self.figures.cuts += 1
        try:
            await self._go_on()
        except TimeoutError:
            self.figures.standing.append(
                f"{_now() - lost_at:.1f} s and longer after {target} {cut.name}"
            )
            return
        seconds = max(0.0, _now() - lost_at)
        self.figures.slowest_seconds = max(self.figures.slowest_seconds, seconds)
        if seconds > self.limit_seconds:
            self.figures.standing.append(f"{seconds:.1f} s after {target} {cut.name}")
        if self.verbose:
            echo(f"{seconds:5.1f} s  {cut.name:9} {target}")

    async def _lose(self, target: Target, cut: Cut) -> float | None:
        """Plays scenes until the connection is lost; delivers what was to be late.

        Returns when the lines should have gone on, were the cut no delay; None without a cut.
        """
        texts = {name: text for text, name in sent_forms().items()}
        first = FOLLOWS.get(target.name)
        if first:
            self.connection.lose_both(texts[first], texts[target.name], cut)
        else:
            self.connection.lose(texts[target.name], cut, at_commit=target.at_commit)
        scenes = self.scenes[first or target.name]
        for scene in (scenes[:2] * _TRIES)[:_TRIES]:
            began = _now()
            playing = asyncio.create_task(self._play(SCENES[scene]))
            losing = asyncio.create_task(self.connection.lost.wait())
            await asyncio.wait({playing, losing}, return_when=asyncio.FIRST_COMPLETED)
            if self.connection.lost.is_set():
                lost_at = max(_now(), began + self.seconds_of[scene])
                if cut is Cut.MEANWHILE:  # late, but before the server would give up the client
                    await asyncio.wait({playing}, timeout=_LATE_SECONDS)
                    self.connection.deliver.set()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_LATE_SECONDS):
                            await self.connection.answered.wait()
                await playing
                await self._restore()
                return lost_at
            losing.cancel()
        return None

    async def _play(self, scene: Scene) -> None:
        """A caller that repeats what succeeded may be refused, and the scene ends there."""
        try:
            await scene(self.tour)
        except (AssertionError, LookupError, TypeError, json.JSONDecodeError):
            pass
        except Exception as error:  # noqa: BLE001 - the campaign goes on and shows it
            self.figures.errors.append(repr(error))

    async def _restore(self) -> None:
        """Orders again what a late statement of a caller may have undone."""
        with suppress(AssertionError):
            await self.tour.line.control("faults", next=[])
        await self.tour.line.call("POST", "/queue/resume")
        await self.tour.line.call("PUT", "/queue/settings", json={"dailyLimit": 0})
        webhook = {"value": self.tour.catcher.url}
        await self.tour.line.call("PUT", "/update-every-webhooks", json=webhook)

    async def _go_on(self) -> None:
        """Sends canaries on both lines; returns once all arrived and were reported."""
        sent: list[list[str]] = []
        for line in (self.tour.line, self.tour.neighbor):
            texts = [await line.send_text(self.tour.text("canary")) for _ in range(_CANARIES)]
            sent.append([text["messageId"] for text in texts])
        flat = [message_id for line_ids in sent for message_id in line_ids]
        await self.tour.arrived(*flat)
        await self._reported(flat)
        for line_ids in sent:
            found = await self.tour.rows(
                "select message_id from sandbox.sent where message_id = any(%s) order by number",
                line_ids,
            )
            if [message_id for (message_id,) in found] != line_ids:
                self.figures.out_of_order.append(" ".join(line_ids))

    async def _reported(self, message_ids: Sequence[str]) -> None:
        wanted = set(message_ids)
        await self.tour.catcher.wait_for(
            lambda c: wanted <= {b["messageId"] for b in c.of_type("DeliveryCallback")}
        )

    async def count(self) -> None:
        """Compares what was accepted with what arrived and was reported."""
        figures, tour = self.figures, self.tour
        lines = (tour.line, tour.neighbor)
        accepted = [message_id for line in lines for message_id in line.accepted]
        figures.accepted = len(accepted)
        figures.errors += [error for line in lines for error in line.errors]
        with suppress(TimeoutError):
            await tour.arrived(*accepted, seconds=self.limit_seconds)
        journal = dict(await tour.rows("select message_id, seen from sandbox.sent"))
        figures.lost += sorted(set(accepted) - journal.keys())
        told = dict(
            await tour.rows(
                """select message_id, count(*) from message_attempts
                   where outcome = 'unconfirmed' group by 1"""
            )
        )
        for message_id, seen in journal.items():
            if seen > 1 + told.get(message_id, 0):
                figures.untold.append(message_id)
            elif seen > 1:
                figures.repeated.append(message_id)
        ids = [posted.id for posted in tour.catcher.delivered]
        figures.repeated_callbacks = len(ids) - len(set(ids))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _targets(campaign: Campaign, chosen: Collection[str]) -> Iterator[Target]:
    followers = {name for name, first in FOLLOWS.items() if first in campaign.scenes}
    for name in sorted(campaign.scenes.keys() | followers):
        if not chosen or name in chosen:
            yield Target(name)
            if name in COMMITTED:
                yield Target(name, at_commit=True)


@asynccontextmanager
async def running_campaign(
    folder: Path, database_url: str, *, limit_seconds: float, kafka: bool, module: str
) -> AsyncIterator[Campaign]:
    """A gateway behind a bad connection, its two lines and their receiver."""
    async with (
        bad_connection(database_url) as connection,
        WebhookCatcher().serving() as catcher,
        _broker(wanted=kafka) as broker,
    ):
        with _running(folder, connection.url, broker, module) as gateway:
            await gateway.ready()
            async with _tour(gateway, catcher, database_url, connection) as tour:
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
    gateway: RunningGateway, catcher: WebhookCatcher, url: str, connection: BadConnection
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
        module: which starts the gateway.
        verbose: prints each cut.
    """
    async with running_campaign(
        folder,
        database_url,
        limit_seconds=limit_seconds,
        kafka="send_by_kafka" in scenes,
        module=module,
    ) as campaign:
        campaign.verbose = verbose
        await campaign.explore(scenes)
        try:
            for target in _targets(campaign, statements):
                for cut in cuts:
                    await campaign.cut(target, cut)
        except asyncio.CancelledError:  # Ctrl-C: shows what was counted so far
            task = asyncio.current_task()
            if task is None or not task.uncancel() == 0:
                raise
            campaign.connection.spare()
        await campaign.count()
        campaign.figures.seen = frozenset(campaign.scenes)
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
