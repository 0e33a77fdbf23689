"""Kills children of Baileys amid sends in both directions, and counts what recipients decrypted.

    python -m tests.campaigns.baileys_kills --kills 200

Two instances, each with a child of its own, write to each other without pause. A child gets SIGKILL
at a random moment of a send, and its session is opened again. What `send` said is compared with
what the other side decrypted: a receipt is one copy, "nothing left" is none and is sent again under
the same id, "unconfirmed" is at most one. The order of each sender must hold.
"""

import argparse
import asyncio
import itertools
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from typer import echo

from gateway.contract.zapi.messages.text import SendText
from gateway.database.migrations import migrate
from gateway.errors import NotConnected, TryAgainLater, Unconfirmed
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ConnectionChanged, MessageReceived
from tests.fixtures.postgres import PostgresServer, new_database, public_folder, running_postgres
from tests.providers.baileys_node import node_at
from tests.providers.fake_whatsapp.client import running_fake
from tests.providers.whatsmeow_node import OpenSession

_SEND_SECONDS = 20.0
_MAX_MOMENT_SECONDS = 0.06  # a send takes about a third of it


@dataclass
class Direction:
    """What one instance sent to the other, by text."""

    name: str
    sender: OpenSession
    recipient: OpenSession
    outcomes: dict[str, str] = field(default_factory=dict)
    again: Counter[str] = field(default_factory=Counter)
    busy: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, stopping: asyncio.Event) -> None:
        number = 0
        while not stopping.is_set():
            number += 1
            text = f"{self.name} {number}"
            self.outcomes[text] = await self.send(
                text, f"3EB0{self.name.encode().hex()[:2]}{number:016X}"
            )

    async def send(self, text: str, message_id: str) -> str:
        """Sends until it is known, or cannot be known, whether it left."""
        message = SendText(phone=self.recipient.phone, message=text)
        while True:
            self.busy.set()
            try:
                await self.sender.send(message, message_id, seconds=_SEND_SECONDS)
            except (NotConnected, TryAgainLater) as error:
                self.again[type(error).__name__] += 1
                await self.sender.until_state(ConnectionState.CONNECTED)
            except Unconfirmed:
                return "unconfirmed"
            else:
                return "sent"
            finally:
                self.busy.clear()

    def decrypted(self) -> list[str]:
        """The texts that the recipient decrypted, in the order in which they were reported."""
        told = [event for event in self.recipient.told if isinstance(event, MessageReceived)]
        return [str(event.content.get("text", {}).get("message", "?")) for event in told]

    def check(self) -> tuple[str, bool]:
        arrived = self.decrypted()
        copies = Counter(arrived)
        sent = [text for text, outcome in self.outcomes.items() if outcome == "sent"]
        unknown = [text for text, outcome in self.outcomes.items() if outcome == "unconfirmed"]
        lost = [text for text in sent if not copies[text]]
        twice = [text for text, count in copies.items() if count > 1]
        numbers = [int(text.rpartition(" ")[2]) for text in arrived if text.startswith(self.name)]
        line = (
            f"{self.name:>5}: sent {len(sent)}, sent again {dict(self.again)}, unconfirmed "
            f"{len(unknown)} (of which arrived {sum(copies[t] > 0 for t in unknown)}), lost "
            f"{len(lost)}, twice {len(twice)}, in order {numbers == sorted(numbers)}"
        )
        if numbers != sorted(numbers):
            late = [b for a, b in itertools.pairwise(numbers) if b < a]
            line += f"; late {late}"
        return line, not lost and not twice and numbers == sorted(numbers)


def holds(text: str, message: MessageReceived) -> bool:
    return text in str(message.content)


async def campaign(url: str, folder: Path, kills: int, seed: int) -> bool:
    chance, stopping = random.Random(seed), asyncio.Event()
    killed: Counter[str] = Counter()
    with running_fake(folder) as whatsapp:
        async with node_at(url, whatsapp, sessions_per_process=1) as node:
            ana, bob = await node.linked("ana"), await node.linked("bob")
            ways = (Direction("left", ana, bob), Direction("right", bob, ana))
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(way.run(stopping)) for way in ways]
                for number in range(kills):
                    way = chance.choice(ways)
                    await way.busy.wait()
                    await asyncio.sleep(chance.uniform(0, _MAX_MOMENT_SECONDS))
                    side = chance.choice(("sender", "recipient"))
                    await kill(way.sender if side == "sender" else way.recipient)
                    killed[f"{side} ({'sending' if way.busy.is_set() else 'idle'})"] += 1
                    if sys.stdout.isatty() or number % 20 == 19:
                        echo(f"{number + 1} kills")
                stopping.set()
                await asyncio.wait(running)
            for way in ways:  # what was sent last arrives last
                last = f"{way.name} {len(way.outcomes) + 1}"
                way.outcomes[last] = await way.send(last, f"3EB0FF{way.name.encode().hex():0>16}")
                await way.recipient.wait_for(MessageReceived, partial(holds, last))
            results = [way.check() for way in ways]
    echo(f"{kills} kills with seed {seed}: {dict(killed)}")
    for line, _holds in results:
        echo(line)
    return all(holds for _line, holds in results)


async def kill(line: OpenSession) -> None:
    """Kills the child of a session that is connected, and waits until it is so again."""
    await line.until_state(ConnectionState.CONNECTED)
    pid = line.pid
    line.told[:] = [event for event in line.told if not isinstance(event, ConnectionChanged)]
    os.kill(pid, signal.SIGKILL)
    await line.wait_for(ConnectionChanged, lambda c: c.state is ConnectionState.DISCONNECTED)
    line.session.supervisor.retry_now()  # the pause grows with each end, up to a minute
    await line.until_state(ConnectionState.CONNECTED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with (
        public_folder() as folder,
        tempfile.TemporaryDirectory() as whatsapp,
        running_postgres(folder / "pg") as url,
        new_database(PostgresServer.at(url), "baileys_kills", None) as database,
    ):
        asyncio.run(migrate(database))
        held = asyncio.run(campaign(database, Path(whatsapp), given.kills, given.seed))
    raise SystemExit(0 if held else 1)


if __name__ == "__main__":
    main()
