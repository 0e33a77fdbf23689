"""Calls a gateway with the HTTP clients that its callers use, with their default settings.

    PYTHONPATH=. .venv/bin/python -m tests.campaigns.clients

Each program sends the same requests: a text, an image as base64 with and without `data:`, an empty
body, query parameters and a DELETE with a body of `[]`. Prints the status of each, and what
arrived. A program without its runtime is skipped with a sentence. Ends with 1 if something went
wrong.
"""

import asyncio
import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.campaigns.field_faults import ended, running_client
from tests.fixtures import media
from tests.fixtures.service import Client

FOLDER: Final = Path(__file__).parent
PHONE: Final = "5511999999999"
_SECONDS: Final = 240.0
_ROW: Final = "{:<5} {:<26} {:<18} {:>3}  {}\n"


@dataclass(frozen=True, slots=True)
class Program:
    """A client; `{folder}` in its command is a folder of its own.

    Attributes:
        name: as the table shows it.
        needs: the command that must be installed.
        source: its file in this folder.
        command: runs it.
        check: a command that fails where a part of the runtime is missing.
    """

    name: str
    needs: str
    source: str
    command: Sequence[str]
    check: Sequence[str] = ()


PROGRAMS: Final = (
    Program("Java, HttpClient", "javac", "Post.java", ("java", "{source}", "default")),
    Program("Java, HttpURLConnection", "javac", "Post.java", ("java", "{source}", "url")),
    Program("PHP, streams", "php", "post.php", ("php", "{source}", "streams")),
    Program(
        "PHP, curl",
        "php",
        "post.php",
        ("php", "{source}", "curl"),
        ("php", "-r", "exit(extension_loaded('curl') ? 0 : 1);"),
    ),
    Program("Node, fetch", "node", "post.mjs", ("node", "{source}", "fetch")),
    Program("Node, http", "node", "post.mjs", ("node", "{source}", "http")),
    Program("curl", "curl", "post.sh", ("sh", "{source}", "--http1.1")),
    Program("curl --http1.0", "curl", "post.sh", ("sh", "{source}", "--http1.0")),
    Program("curl --http2", "curl", "post.sh", ("sh", "{source}", "--http2")),
    Program("Python, urllib", sys.executable, "post.py", (sys.executable, "{source}", "urllib")),
    Program(
        "Python, requests",
        sys.executable,
        "post.py",
        (sys.executable, "{source}", "requests"),
        (sys.executable, "-c", "import requests"),
    ),
    Program("Python, httpx", sys.executable, "post.py", (sys.executable, "{source}", "httpx")),
)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that every program sends."""

    name: str
    method: str
    path: str
    body: object = None
    file: str = ""

    def line(self, number: int, folder: Path) -> str:
        """Returns method, path and the file of the body, `-` for none; writes that file."""
        if self.body is None:
            return f"{self.method} {self.path} -"
        body = folder / f"{number}.json"
        text = self.body if isinstance(self.body, str) else json.dumps(self.body)
        body.write_text(text)
        return f"{self.method} {self.path} {body}"


_PICTURE: Final = base64.b64encode(media.picture()).decode()
CALLS: Final = (
    Call("text", "POST", "/send-text", {"phone": PHONE, "message": "ol\xe1 \U0001f600"}),
    Call("base64", "POST", "/send-image", {"phone": PHONE, "image": _PICTURE}),
    Call(
        "data: URI",
        "POST",
        "/send-image",
        {"phone": PHONE, "image": f"data:image/png;base64,{_PICTURE}"},
    ),
    Call("2 MB", "POST", "/send-document/bin", {"phone": PHONE, "document": "QUJD" * 500_000}),
    Call("no body", "POST", "/queue/resume"),
    Call("empty object", "POST", "/queue/resume", {}),
    Call("query", "GET", "/contacts?page=1&pageSize="),
    Call("DELETE with []", "DELETE", "/queue?olderThan=999999", []),
    Call("PUT", "PUT", "/update-webhook-connected", {"value": ""}),
)


def missing(program: Program) -> str:
    """Returns why a program cannot run here; nothing if it can."""
    if not shutil.which(program.needs):
        return f"{program.needs} is not installed"
    if program.check:
        checked = subprocess.run(program.check, check=False, capture_output=True)
        return "" if checked.returncode == 0 else "its extension is not installed"
    return ""


async def outcomes_of(client: Client, program: Program) -> list[tuple[Call, int, str]]:
    """Runs a program, and returns the status of each call and what came of it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        lines = [call.line(number, folder) for number, call in enumerate(CALLS)]
        command = [part.format(source=FOLDER / program.source) for part in program.command]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={
                **os.environ,
                "BASE": client.demo.base_url + client.instance,
                "CLIENT_TOKEN": client.demo.client_token,
            },
        )
        async with asyncio.timeout(_SECONDS):
            written, errors = await process.communicate("\n".join((*lines, "")).encode())
    answers = [line.partition(" ") for line in written.decode().splitlines()]
    if len(answers) != len(CALLS):
        return [(CALLS[0], 0, f"the program failed: {errors.decode()[-300:]!r}")]
    return [
        (call, int(status), await _arrived(client, text))
        for call, (status, _, text) in zip(CALLS, answers, strict=True)
    ]


async def _arrived(client: Client, text: str) -> str:
    try:
        answer = json.loads(text)
    except ValueError:
        return f"no JSON: {text[:100]}"
    if not isinstance(answer, dict) or "messageId" not in answer:
        return text[:70]
    await ended(client, answer["messageId"])
    rows = [row for row in await client.sent() if row["messageId"] == answer["messageId"]]
    if not rows:
        return "did not arrive"
    payload: dict[str, Any] = rows[0]["payload"]
    shown = payload["files"][0] if "files" in payload else payload
    names = [name for name in ("message", "mimeType", "size") if name in shown]
    return "arrived: " + ", ".join(ascii(shown[name]) for name in names)


async def prior_knowledge_of(client: Client) -> str:
    """Returns what curl says of a server that it believes to speak HTTP/2: a refusal, and soon."""
    process = await asyncio.create_subprocess_exec(
        *("curl", "-sS", "--http2-prior-knowledge", f"{client.demo.base_url}/ready"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(_SECONDS):
        written, _ = await process.communicate()
    return f"curl ends with {process.returncode}: {written.decode(errors='replace')[:80]}"


def is_right(call: Call, status: int, seen: str) -> bool:
    """Returns whether a call had its right outcome."""
    sends = call.path.startswith("/send-")
    return status == 200 and (seen.startswith("arrived") if sends else "no JSON" not in seen)


async def run(programs: Sequence[Program] = PROGRAMS) -> list[str]:
    """Runs all programs, prints a table, and returns what went wrong."""
    wrong = []
    async with running_client() as (_gateway, client):
        for program in programs:
            if why := missing(program):
                sys.stdout.write(f"SKIPPED: {program.name}, because {why}\n")
                continue
            for call, status, seen in await outcomes_of(client, program):
                right = is_right(call, status, seen)
                verdict = "right" if right else "WRONG"
                sys.stdout.write(_ROW.format(verdict, program.name, call.name, status, seen))
                wrong += [] if right else [f"{program.name}, {call.name}: {status} {seen}"]
            sys.stdout.flush()
        if shutil.which("curl"):
            shown = await prior_knowledge_of(client)
            sys.stdout.write(f"curl --http2-prior-knowledge is refused: {shown}\n")
    sys.stdout.write(f"{len(wrong)} wrong\n")
    return wrong
