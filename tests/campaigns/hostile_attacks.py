"""The attacks of one account: `python -m tests.campaigns.hostile_attacks`, a process of its own.

Its argument names the attack; with a second one it runs at the priority of its parent, so that it
attacks also on a busy machine. Its input is one line of JSON: the base URL, an account, its
instances, and the URL of a hostile server. It prints "ready", runs the attack until its input ends,
and prints how often each status was answered.
"""

import asyncio
import base64
import itertools
import json
import os
import resource
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from tests.campaigns.hostile_client import PIECE_BYTES, Attacker, all_of
from tests.fixtures import hostile_files, media

MIB: Final = 1024 * 1024
LISTS_BYTES: Final = 60 * MIB
CONVERSIONS: Final = 1_000
CONNECTIONS: Final = 2_000
FOLLOWERS: Final = 200
ZIP_ENTRIES: Final = 2_000_000
FILES_PER_INSTANCE: Final = 10
_TEXT: Final = {"phone": "5511999990000", "message": "x"}


Attack = Callable[[Attacker], Awaitable[None]]


def _json(path: str, content: Callable[[], bytes], *, method: str = "POST") -> Attack:
    async def attack(attacker: Attacker) -> None:
        body, route = content(), attacker.instance() + path
        head = attacker.head(method, route, len(body), "Connection: close")
        await attacker.repeat(itertools.repeat(head + body), connections=4)

    return attack


def _lists() -> bytes:
    return b'{"phone":"5511999990000","a":[' + b"[]," * (LISTS_BYTES // 3) + b"[]]}"


def _nested() -> bytes:
    return b'{"phone":"5511999990000","a":' + b"[" * MIB + b"]" * MIB + b"}"


def _large_picture() -> bytes:
    return b'{"value":"' + base64.b64encode(os.urandom(16 * MIB)) + b'"}'


async def use_server_for_files(attacker: Attacker) -> None:
    """Every instance sends files that the hostile server holds."""

    def requests() -> Iterator[bytes]:
        for number in range(FILES_PER_INSTANCE * len(attacker.instances)):
            body = {"phone": _phone(number), "image": f"{attacker.hostile_url}{number}.png"}
            yield attacker.request("POST", attacker.instance(number) + "/send-image", body)

    await attacker.flood(requests())


async def use_server_as_receiver(attacker: Attacker) -> None:
    """Every instance has the hostile server as its receiver, and sends."""
    webhook = {"value": attacker.hostile_url}

    def requests() -> Iterator[bytes]:
        for number in range(len(attacker.instances)):
            path = attacker.instance(number) + "/update-webhook-delivery"
            yield attacker.request("PUT", path, webhook)
        for number in range(FILES_PER_INSTANCE * len(attacker.instances)):
            body = _TEXT | {"phone": _phone(number)}
            yield attacker.request("POST", attacker.instance(number) + "/send-text", body)

    await attacker.flood(requests())


def _phone(number: int) -> str:
    return f"55119999{number:05}"


def _files(
    *bombs: tuple[str, str, str, Callable[[Path], None]], count: int, own: bool = False
) -> Attack:
    """Sends files again and again; each bomb is a route, a field, a file name and its builder."""

    async def attack(attacker: Attacker) -> None:
        for _route, _field, name, build in bombs:
            if not (attacker.folder / name).exists():
                build(attacker.folder / name)

        def requests() -> Iterator[bytes]:
            for number in range(count):
                route, key, name, _build = bombs[number % len(bombs)]
                body: dict[str, str] = {"phone": _phone(number), key: attacker.files_url + name}
                if own:
                    content = base64.b64encode((attacker.folder / name).read_bytes()).decode()
                    body[key] = content
                if route == "/send-link":
                    body |= {"message": "x", "linkUrl": "https://example.com", "title": "x"}
                    body["linkDescription"] = "x"
                yield attacker.request("POST", attacker.instance(number) + route, body)

        await attacker.flood(requests())

    return attack


def _hostile(name: str) -> Callable[[Path], None]:
    return next(each.build for each in hostile_files.HOSTILE_FILES if each.name == name)


def _small_picture(path: Path) -> None:
    path.write_bytes(media.picture("PNG", (640, 640)))


def _large_zip(path: Path) -> None:
    hostile_files.zip_of_entries(path, ZIP_ENTRIES)


async def half_requests(attacker: Attacker) -> None:
    head = attacker.head("POST", attacker.instance() + "/send-text", 1_000_000)
    half = CONNECTIONS // 2
    await all_of(
        iter(
            (
                attacker.open_many(half, head[:-20], trickle=b"a"),
                attacker.open_many(half, head + b'{"phone":', trickle=b" "),
            )
        )
    )


async def slow_media(attacker: Attacker) -> None:
    head = attacker.head("POST", attacker.instance() + "/send-image", 60 * MIB)
    body = b'{"phone":"5511999990000","image":"'
    await attacker.open_many(CONNECTIONS, head + body, trickle=b"A" * 600)


async def idle_connections(attacker: Attacker) -> None:
    await attacker.open_many(CONNECTIONS, b"")


def _flood(
    method: str, path: str, body: Mapping[str, object] | None = None, *, everywhere: bool = False
) -> Attack:
    async def attack(attacker: Attacker) -> None:
        count = len(attacker.instances) if everywhere else 1
        rendered = [
            attacker.request(method, attacker.instance(n) + path, body) for n in range(count)
        ]
        await attacker.flood(itertools.cycle(rendered))

    return attack


async def follow_events(attacker: Attacker) -> None:
    """Many followers, and something to follow."""
    following = attacker.head("GET", "/events", 0)
    text = attacker.request("POST", attacker.instance() + "/send-text", _TEXT)
    await all_of(
        iter((attacker.open_many(FOLLOWERS, following), attacker.flood(itertools.repeat(text))))
    )


async def flood_webhook_tests(attacker: Attacker) -> None:
    """The tests of 20 instances, each posted to a receiver that does not answer."""
    webhook = {"value": attacker.hostile_url}

    def requests() -> Iterator[bytes]:
        for each in attacker.instances:
            yield attacker.request("PUT", each + "/update-every-webhooks", webhook)
        for each in itertools.cycle(attacker.instances):
            yield attacker.request("POST", each + "/webhooks/test", {"type": "DeliveryCallback"})

    await attacker.flood(requests())


async def burn(_attacker: Attacker) -> None:
    """No attack: shows what a busy neighbour on this machine costs, to compare the attacks with."""

    def calculate() -> None:
        while True:
            sum(range(100_000))

    await asyncio.to_thread(calculate)


ATTACKS: Final[Mapping[str, Attack]] = {
    "no attack, a busy processor": burn,
    "lists to a text route": _json("/send-text", _lists),
    "lists to a media route": _json("/send-image", _lists),
    "deep nesting": _json("/send-image", _nested),
    "16 MiB profile pictures": _json("/profile-picture", _large_picture, method="PUT"),
    "files": use_server_for_files,
    "receivers": use_server_as_receiver,
    "decompression bombs": _files(
        ("/send-video", "video", "bomb.mov", _hostile("MOV with that PNG, claims 64")),
        ("/send-gif", "gif", "bomb.gif", _hostile("GIF, 200 frames of 49 million")),
        ("/send-link", "image", "bomb.png", _hostile("PNG as a link's picture")),
        count=60,
    ),
    "1,000 conversions": _files(
        ("/send-sticker", "sticker", "small.png", _small_picture),
        count=CONVERSIONS,
        own=True,
    ),
    "ZIP of 2 million entries": _files(
        ("/send-document/zip", "document", "many.zip", _large_zip),
        count=20,
    ),
    "half requests, slow bodies": half_requests,
    "slow uploads": slow_media,
    "idle connections": idle_connections,
    "flood of reads": _flood("GET", "/status"),
    "flood of texts": _flood("POST", "/send-text", _TEXT),
    "flood of texts, 20 instances": _flood("POST", "/send-text", _TEXT, everywhere=True),
    "followers of /events": follow_events,
    "/proxy/test": _flood("POST", "/proxy/test", {"proxyUrl": "socks5://127.0.0.1:1"}),
    "/webhooks/test": flood_webhook_tests,
}


async def _serve_files(attacker: Attacker) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, EOFError):
            head = await reader.readuntil(b"\r\n\r\n")
            content = (attacker.folder / head.split(b" ")[1].decode().strip("/")).read_bytes()
            lines = (
                f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
            )
            writer.write(lines.encode())
            for at in range(0, len(content), PIECE_BYTES):
                writer.write(content[at : at + PIECE_BYTES])
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    attacker.files_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def main(name: str, folder: str) -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    attacker = Attacker(**json.loads(sys.stdin.readline()), folder=Path(folder))
    await _serve_files(attacker)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    attacking = asyncio.ensure_future(ATTACKS[name](attacker))
    ending = asyncio.create_task(asyncio.to_thread(sys.stdin.read))
    await asyncio.wait({ending})
    attacking.cancel()
    await asyncio.wait({attacking})
    if not attacking.cancelled() and (error := attacking.exception()):
        attacker.answered[f"{type(error).__name__} in the attack"] += 1
    sys.stdout.write(json.dumps(attacker.answered) + "\n")
    sys.stdout.flush()
    os._exit(0)  # thousands of open connections need no polite end


if __name__ == "__main__":
    # Elsewhere it would not compete with the gateway for this machine.
    if sys.platform == "linux" and len(sys.argv) == 2:
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with tempfile.TemporaryDirectory() as made:
        asyncio.run(main(sys.argv[1], made))
