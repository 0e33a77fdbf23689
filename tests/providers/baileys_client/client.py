"""Runs the Node process, and gives each of its clients a handle."""

import asyncio
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.providers.fake_whatsapp.client import FakeWhatsApp

Fields = dict[str, Any]
_FOLDER = Path(__file__).parent
_MAX_LINE_BYTES = 1 << 24
_MIN_NODE = 20


def why_not() -> str | None:
    """Returns why Baileys cannot run here; None if it can."""
    if (node := shutil.which("node")) is None:
        return "node is not installed"
    shown = subprocess.run([node, "--version"], capture_output=True, check=True, text=True).stdout
    if int(shown.lstrip("v").partition(".")[0]) < _MIN_NODE:
        return f"node is older than {_MIN_NODE}"
    if not (_FOLDER / "node_modules" / "baileys").exists():
        return "`npm ci` has not run in tests/providers/baileys_client"
    return None


class BaileysError(Exception):
    """A command failed; `code` is the status of the error, if it has one."""

    def __init__(self, text: str, code: int | None) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class BaileysClient:
    """One client, and the events that it has reported."""

    name: str
    phone: str
    process: "BaileysProcess"
    events: list[Fields] = field(default_factory=list)

    @property
    def jid(self) -> str:
        return f"{self.phone}@s.whatsapp.net"

    async def run(self, verb: str, **arguments: Any) -> Any:
        return await self.process.run(verb, name=self.name, **arguments)

    async def call(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the library's socket; raises BaileysError."""
        return await self.run("call", method=method, args=arguments)

    async def send(self, to: str, content: Fields, **options: Any) -> str:
        """Sends a message; returns its id once the frame is written."""
        key = await self.run("send", to=to, content=content, options=options)
        return str(key["id"])

    async def query(self, attributes: Fields, *content: Fields) -> Fields:
        node = {"tag": "iq", "attrs": attributes, "content": list(content)}
        answer: Fields = await self.run("query", node=node)
        return answer

    async def open(self) -> None:
        await self.run("open")
        await self.wait_for("open")

    async def link(self) -> None:
        await self.run("open")
        shown = await self.wait_for("qr")
        answer = await self.process.whatsapp.control("scan", phone=self.phone, code=shown["code"])
        assert answer["linked"]
        await self.wait_for("open")

    async def wait_for(
        self, event: str, when: Callable[[Fields], bool] = lambda _event: True
    ) -> Fields:
        """Returns the first event of this name for which *when* holds."""
        async with asyncio.timeout(PATIENCE_SECONDS), self.process.changed:
            while True:
                for each in self.events:
                    if each["event"] == event and when(each):
                        return each
                await self.process.changed.wait()

    async def message(self, message_id: str) -> Fields:
        """Returns a received message that could be decrypted."""
        return await self.wait_for(
            "message", lambda e: e["key"]["id"] == message_id and e["content"] is not None
        )

    async def stanza(self, message_id: str) -> Fields:
        return await self.wait_for("stanza", lambda e: e["attrs"]["id"] == message_id)

    def forget(self) -> None:
        self.events.clear()


@dataclass
class BaileysProcess:
    """The Node process, with all its clients."""

    whatsapp: FakeWhatsApp
    process: asyncio.subprocess.Process
    clients: dict[str, BaileysClient] = field(default_factory=dict)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    _answers: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def client(self, name: str, phone: str) -> BaileysClient:
        found = self.clients[name] = BaileysClient(name, phone, self)
        return found

    async def linked(self, name: str, phone: str) -> BaileysClient:
        client = self.client(name, phone)
        await client.link()
        return client

    async def run(self, verb: str, **arguments: Any) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"number": number, "verb": verb, **arguments})
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await answer

    async def read(self) -> None:
        assert self.process.stdout
        async for line in self.process.stdout:
            found = json.loads(line)
            if "number" in found:
                self._answer(found)
                continue
            async with self.changed:
                self.clients[found["name"]].events.append(found)
                self.changed.notify_all()

    def _answer(self, found: Fields) -> None:
        waiting = self._answers.pop(found["number"])
        if waiting.done():
            return
        if "error" in found:
            waiting.set_exception(BaileysError(found["error"], found["code"]))
        else:
            waiting.set_result(found["result"])


@asynccontextmanager
async def running_baileys(whatsapp: FakeWhatsApp) -> AsyncIterator[BaileysProcess]:
    process = await asyncio.create_subprocess_exec(
        "node",
        "client.mjs",
        cwd=_FOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_MAX_LINE_BYTES,
        env={
            "PATH": os.environ["PATH"],
            "FAKE_WHATSAPP": json.dumps(dict(whatsapp.facts)),
            **({"BAILEYS_LOG": level} if (level := os.environ.get("BAILEYS_LOG")) else {}),
        },
    )
    running = BaileysProcess(whatsapp, process)
    try:
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(running.read())
            yield running
            reading.cancel()
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
