"""The client programs of README.md and docs/clients.md, each run as it is printed."""

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import Client, RunningGateway, free_port, until

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "docs" / "clients.md")
EXAMPLE = re.compile(r"<!-- example: ([a-z ]+) -->\n\n```\w+\n(.*?)```", re.DOTALL)
EXAMPLES = {name: program for page in PAGES for name, program in EXAMPLE.findall(page.read_text())}
LANGUAGES = ("curl", "python", "node", "php")
COMMANDS = {
    "curl": ["sh"],
    "python": [sys.executable],
    "node": ["node"],
    "php": ["php"],
}


def command_of(example: str, port: int) -> list[str]:
    """Skips if the language, or a module that the program needs, is not installed."""
    language = example.partition(" ")[0]
    command = COMMANDS[language]
    if language == "curl" and shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    if shutil.which(command[0]) is None:
        pytest.skip(f"{language} is not installed")
    if example == "php":
        modules = subprocess.run(["php", "-m"], capture_output=True, text=True, check=True)
        if "curl" not in modules.stdout.split():
            pytest.skip("php-curl is not installed")
    return [*command, "-S", f"127.0.0.1:{port}"] if example == "php receiver" else command


@contextmanager
def running(
    example: str, gateway: RunningGateway, folder: Path, **environment: str
) -> Iterator[subprocess.Popen[str]]:
    port = int(environment.get("PORT", "0"))
    command = command_of(example, port)
    program = folder / "example"
    program.write_text(EXAMPLES[example])
    demo = {name.upper(): value for name, value in asdict(gateway.demo()).items()}
    with subprocess.Popen(
        [*command, program],
        cwd=folder,
        env={**os.environ, **demo, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_readme_has_an_example_for_each_language() -> None:
    receivers = {f"{language} receiver" for language in LANGUAGES if language != "curl"}
    assert EXAMPLES.keys() == {*LANGUAGES, *receivers}


@pytest.mark.parametrize("language", LANGUAGES)
async def test_example_sends_text_and_picture(
    language: str, gateway: RunningGateway, client: Client, tmp_path: Path
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / ".data").symlink_to(gateway.data_dir)

    with running(language, gateway, tmp_path / "work") as process:
        printed, _ = await asyncio.to_thread(process.communicate, timeout=PATIENCE_SECONDS)
        assert process.returncode == 0, printed

    text, picture = await client.sent_at_least(2)
    assert text["payload"]["message"].startswith("Hello")
    assert picture["payload"]["caption"] == "A dot"
    assert text["messageId"] in printed
    assert picture["messageId"] in printed


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "curl"])
async def test_example_receiver_accepts_only_signed_callbacks(
    language: str, gateway: RunningGateway, client: Client, command: Any, tmp_path: Path
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    printed = command(gateway, "accounts", "secret", "Demo").stdout
    secret = printed.strip().removeprefix("WEBHOOK_SECRET=")
    await client.call("PUT", "/update-webhook-received", json={"value": url})

    async def unsigned() -> int:
        try:
            async with httpx.AsyncClient() as http:
                return (await http.post(url, json={"type": "ReceivedCallback"})).status_code
        except httpx.TransportError:
            return 0

    async def signed() -> dict[str, Any]:
        tested: dict[str, Any] = (await client.call("POST", "/webhooks/test", json={})).json()
        return tested

    folder = tmp_path / "work"
    folder.mkdir()
    with running(
        f"{language} receiver", gateway, folder, PORT=str(port), WEBHOOK_SECRET=secret
    ) as process:
        assert await until(unsigned, bool) == httpx.codes.UNAUTHORIZED
        tested = await until(signed, lambda answer: "status" in answer)  # once the address is known
        assert (tested["value"], tested["status"]) == (True, httpx.codes.OK)
        assert process.stdout is not None
        line = ""
        while "ReceivedCallback" not in line:
            line = await asyncio.wait_for(
                asyncio.to_thread(process.stdout.readline), PATIENCE_SECONDS
            )
            assert line, "the receiver ended"
