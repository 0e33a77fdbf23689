"""Kills the child of an engine amid sends in both directions, and counts what recipients decrypted.

    python -m tests.campaigns.child_kills --kills 200
    python -m tests.campaigns.child_kills --kills 200 --child whatsmeow
    python -m tests.campaigns.child_kills --kills 200 --cut    # the connection, not the process

An instance of Baileys and one of whatsmeow write to each other without pause, so that each message
is decrypted by another implementation than the one that encrypted it. The child gets SIGKILL at a
random moment of a send, and its session is opened again. What `send` said is compared with what the
other side decrypted: a receipt is one copy, "nothing left" is none and is sent again under the same
id, "unconfirmed" is at most one. The order of each sender must hold. Ctrl-C ends the kills early.

With `--keys file` a killed child of whatsmeow loses what its library had decrypted and not reported
(docs/providers.md).
"""

import argparse
import asyncio
import itertools
import os
import random
import signal
import tempfile
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from typer import echo

from gateway.contract.zapi.messages.text import SendText
from gateway.database.migrations import migrate
from gateway.errors import NotConnected, TryAgainLater, Unconfirmed
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged, MessageReceived
from tests.fixtures.postgres import PostgresServer, new_database, public_folder, running_postgres
from tests.providers import baileys_node, whatsmeow_node
from tests.providers.fake_whatsapp.client import FakeWhatsApp, running_fake
from tests.providers.whatsmeow_node import OpenSession

CHILDREN: Final = ("baileys", "whatsmeow")
KEYS: Final = ("postgres", "file")
_SEND_SECONDS: Final = 10.0
_ARRIVAL_SECONDS: Final = 30.0
_RETRY_SECONDS: Final = 0.02
_MAX_MOMENT: Final = 1.5  # of the time that a send takes
_MAX_SENDS: Final = 4  # between two kills
_MAX_AHEAD: Final = 10  # messages that wait for a recipient whose child is being started


@dataclass
class Direction:
    """What one instance sent to the other, by text."""

    name: str
    sender: OpenSession
    recipient: OpenSession
    outcomes: dict[str, str] = field(default_factory=dict)
    repeats: Counter[str] = field(default_factory=Counter)
    decrypted: list[str] = field(default_factory=list)
    undecryptable: int = 0
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    send_seconds: float = 0.05
    """How long the latest send took that nothing disturbed."""

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await self.send_next()
            await self.arrived(all_but=_MAX_AHEAD)

    async def send_next(self) -> None:
        """Sends until it is known, or cannot be known, whether the message left."""
        number = len(self.outcomes) + 1
        text = f"{self.name} {number}"
        message = SendText(phone=self.recipient.phone, message=text)
        message_id = f"3EB0{self.name.encode().hex().upper()[-4:]}{number:014X}"
        while text not in self.outcomes:
            began = _now()
            self.busy.set()
            try:
                await self.sender.send(message, message_id, seconds=_SEND_SECONDS)
            except (NotConnected, TryAgainLater) as error:
                self.repeats[type(error).__name__] += 1
                await self.sender.until_state(ConnectionState.CONNECTED)
                await asyncio.sleep(_RETRY_SECONDS)
            except Unconfirmed:
                self.outcomes[text] = "unconfirmed"
            else:
                self.outcomes[text] = "confirmed"
                self.send_seconds = _now() - began
            finally:
                self.busy.clear()
        self.ended.set()

    async def sends(self, count: int) -> None:
        """Returns when so many more sends have ended and the next one is in flight."""
        for _ in range(count):
            self.ended.clear()
            await self.ended.wait()
        await self.busy.wait()

    def collect(self) -> None:
        """Notes what the recipient decrypted, in the order in which it was reported."""
        reported = self.recipient.events
        for event in reported:
            if isinstance(event, MessageReceived):
                if event.is_waiting:
                    self.undecryptable += 1
                else:
                    self.decrypted.append(event.content["text"]["message"])
        reported[:] = [event for event in reported if isinstance(event, ConnectionChanged)]

    def with_outcome(self, outcome: str) -> set[str]:
        return {text for text, each in self.outcomes.items() if each == outcome}

    async def arrived(self, *, all_but: int) -> None:
        """Returns once the recipient has what was confirmed, or it takes too long."""
        self.collect()
        with suppress(TimeoutError):
            async with asyncio.timeout(_ARRIVAL_SECONDS):
                while len(self.with_outcome("confirmed") - {*self.decrypted}) > all_but:
                    await asyncio.sleep(_RETRY_SECONDS)
                    self.collect()

    @property
    def broken(self) -> list[str]:
        copies = Counter(self.decrypted)
        numbers = [int(text.rpartition(" ")[2]) for text in self.decrypted]
        late = [b for a, b in itertools.pairwise(numbers) if b < a]
        return [
            *(f"lost: {text}" for text in sorted(self.with_outcome("confirmed") - copies.keys())),
            *(f"twice: {text}" for text, count in copies.items() if count > 1),
            *(f"out of order: {self.name} {number}" for number in late),
        ]

    def __str__(self) -> str:
        unknown, arrived = self.with_outcome("unconfirmed"), {*self.decrypted}
        return (
            f"{self.name}: accepted {len(self.outcomes)}, confirmed "
            f"{len(self.with_outcome('confirmed'))}, unconfirmed {len(unknown)} (of which "
            f"{len(unknown & arrived)} arrived), attempts that were repeated "
            f"{dict(self.repeats)}, decrypted {len(self.decrypted)}, asked for again "
            f"{self.undecryptable}"
        )


@dataclass
class KillFigures:
    """What a campaign counted."""

    ways: tuple[Direction, Direction]
    moments: Counter[str] = field(default_factory=Counter)
    """What the child did when it was killed."""
    seconds: float = 0.0

    @property
    def kills(self) -> int:
        return self.moments.total()

    @property
    def broken(self) -> list[str]:
        return [each for way in self.ways for each in way.broken]

    def show(self) -> None:
        echo(f"{self.kills} kills in {self.seconds:.0f} s: {dict(self.moments)}")
        for way in self.ways:
            echo(str(way))
        counts = Counter(each.partition(":")[0] for each in self.broken)
        echo(", ".join(f"{what} {counts[what]}" for what in ("lost", "twice", "out of order")))
        for each in self.broken:
            echo(each)


async def run(
    url: str,
    folder: Path,
    *,
    kills: int,
    child: str = "baileys",
    cut: bool = False,
    keys: str = "postgres",
    seed: int = 1,
    stopping: asyncio.Event | None = None,
) -> KillFigures:
    """Kills the child again and again, and counts.

    Args:
        url: of a migrated database for this campaign alone.
        folder: for files.
        kills: how many.
        child: whose it is: `baileys` or `whatsmeow`.
        cut: ends the connection to WhatsApp instead.
        keys: where those of whatsmeow are: `postgres` or `file`.
        seed: of the moments.
        stopping: ends the kills early.
    """
    stopping = stopping or asyncio.Event()
    (folder / "whatsapp").mkdir()
    with running_fake(folder / "whatsapp") as whatsapp:
        async with (
            baileys_node.node_at(url, whatsapp) as of_baileys,
            whatsmeow_node.node_at(url, folder, whatsapp, keys=keys) as of_whatsmeow,
        ):
            ana, bob = await of_baileys.linked("ana"), await of_whatsmeow.linked("bob")
            figures = KillFigures(
                (Direction("to whatsmeow", ana, bob), Direction("to baileys", bob, ana))
            )
            killing = _damage(
                figures,
                ana if child == "baileys" else bob,
                whatsapp if cut else None,
                kills=kills,
                chance=random.Random(seed),
            )
            began = _now()
            async with asyncio.TaskGroup() as group:
                ends = {group.create_task(killing), group.create_task(_wait(stopping))}
                ways = [group.create_task(way.run(stopping)) for way in figures.ways]
                await asyncio.wait({*ends, *ways}, return_when=asyncio.FIRST_COMPLETED)
                stopping.set()
                for each in ends:
                    each.cancel()
            figures.seconds = _now() - began
            for way in figures.ways:
                await way.send_next()
                await way.arrived(all_but=0)
            return figures


async def _wait(stopping: asyncio.Event) -> None:
    await stopping.wait()


async def _damage(
    figures: KillFigures,
    line: OpenSession,
    whatsapp: FakeWhatsApp | None,
    *,
    kills: int,
    chance: random.Random,
) -> None:
    while figures.kills < kills:
        way = chance.choice(figures.ways)
        await way.sends(chance.randint(0, _MAX_SENDS))
        await asyncio.sleep(chance.uniform(0, _MAX_MOMENT) * way.send_seconds)
        busy = " and ".join(each.name for each in figures.ways if each.busy.is_set())
        figures.moments[f"sending {busy or 'nothing'}"] += 1
        await _break(line, whatsapp)
        if figures.kills % 20 == 0:
            for text in (f"{figures.kills} kills", *map(str, figures.ways)):
                echo(text)


async def _break(line: OpenSession, whatsapp: FakeWhatsApp | None) -> None:
    """Kills the child or cuts the connection; returns once it is connected again."""
    await line.until_state(ConnectionState.CONNECTED)
    line.events[:] = [event for event in line.events if not isinstance(event, ConnectionChanged)]
    if whatsapp:
        await whatsapp.control("cut", phone=line.phone)
    else:
        os.kill(line.pid, signal.SIGKILL)
    await line.wait_for(ConnectionChanged, lambda c: c.state is not ConnectionState.CONNECTED)
    if not whatsapp:
        line.session.supervisor.retry_now()  # the pause grows with each end, up to a minute
    await line.until_state(ConnectionState.CONNECTED)


def _now() -> float:
    return asyncio.get_running_loop().time()


async def _main(url: str, folder: Path, **options: Any) -> KillFigures:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGINT, stopping.set)
    return await run(url, folder, stopping=stopping, **options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--child", choices=CHILDREN, default=CHILDREN[0])
    parser.add_argument("--cut", action="store_true", help="the connection, not the process")
    parser.add_argument("--keys", choices=KEYS, default=KEYS[0], help="those of whatsmeow")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with (
        public_folder() as folder,
        tempfile.TemporaryDirectory() as files,
        running_postgres(folder / "pg") as url,
        new_database(PostgresServer.at(url), "child_kills", None) as database,
    ):
        asyncio.run(migrate(database))
        figures = asyncio.run(_main(database, Path(files), **vars(given)))
    figures.show()
    raise SystemExit(1 if figures.broken else 0)


if __name__ == "__main__":
    main()
