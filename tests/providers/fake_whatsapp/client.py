"""The client by which tests start and control the fake server."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.fixtures.patience import PATIENCE_SECONDS

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class FakeWhatsApp:
    """A running server."""

    process: subprocess.Popen[bytes]
    facts: Mapping[str, str]

    @property
    def port(self) -> int:
        """The port of the WhatsApp server itself, to which a proxy connects."""
        return int(self.facts["port"])

    @property
    def certificate(self) -> Path:
        """A certificate of 127.0.0.1, which the children trust, with its private key."""
        return Path(self.facts["certificate"])

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead a child process to this server instead of WhatsApp's."""
        hook = Path(__file__).parent / "key_hook"
        return {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{hook}:{ROOT}",
            "HTTPS_PROXY": self.facts["proxy"],
            "NO_PROXY": "",
            "SSL_CERT_FILE": self.facts["authority"],
            "FAKE_WHATSAPP_ROOT": self.facts["root"],
        }

    async def control(self, verb: str, **body: Any) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.facts["control"], trust_env=False) as http:
            answer = await http.post(f"/{verb}", json=body, timeout=PATIENCE_SECONDS)
            answer.raise_for_status()
            result: dict[str, Any] = answer.json()
            return result

    async def state_when(self, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        state: dict[str, Any] = await seen(lambda: self.control("state"), enough)
        return state


async def seen(
    look: Callable[[], Awaitable[Any]],
    enough: Callable[[Any], bool],
    *,
    seconds: float = PATIENCE_SECONDS,
) -> Any:
    """Polls another process, which has no event to wait for; returns what is *enough*."""
    async with asyncio.timeout(seconds):
        while True:
            if enough(found := await look()):
                return found
            await asyncio.sleep(0.05)


@contextmanager
def running_fake(folder: Path) -> Iterator[FakeWhatsApp]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.providers.fake_whatsapp", str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        ready, until = folder / "ready.json", time.monotonic() + PATIENCE_SECONDS
        while not ready.exists():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        yield FakeWhatsApp(process, json.loads(ready.read_text()))
    finally:
        process.kill()
        process.wait()
