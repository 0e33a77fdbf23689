"""Sends what clients of the field send, and compares what became of it with what must.

    PYTHONPATH=. .venv/bin/python -m tests.campaigns.field_faults

Prints a line for each input of `field_inputs`: its status, and where and how it arrived. Ends with
1 if one of them went wrong.
"""

import asyncio
import gzip
import json
import sys
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.campaigns.field_inputs import Input, inputs
from tests.campaigns.hostile_servers import add_account, connected
from tests.fixtures import media
from tests.fixtures.heic import Photo, gradient
from tests.fixtures.media import FileServer
from tests.fixtures.postgres import public_folder
from tests.fixtures.service import Client, RunningGateway, client_of, running_gateway, until
from tests.fixtures.videos import VideoForm, video_in

_SECONDS = 300.0
_ROW = "{:<5} {:<4} {:<44} {:>3}  {}\n"
_ENDED = frozenset({"sent", "failed", "delivered", "read", "played", "received"})


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to a request."""

    status: int
    text: str

    @property
    def message_id(self) -> str | None:
        try:
            body = json.loads(self.text)
        except ValueError:
            return None
        return body.get("messageId") if isinstance(body, dict) else None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of an input; `faults` is empty if that is right."""

    status: int
    seen: str
    faults: Sequence[str]


async def call(client: Client, given: Input, files_url: str) -> Answered:
    """Sends an input byte by byte as it is, on a connection of its own."""
    path = _path_of(client, given)
    content = given.content()
    if content is not None:
        content = content.replace(b"{files}", files_url.encode())
    lines = [f"{given.method} {path} HTTP/1.1", "Host: gateway"]
    headers = {"Client-Token": client.demo.client_token, "Content-Type": "application/json"}
    headers |= {"Connection": "close"} | dict(given.headers)
    named = {"client_token": client.demo.client_token, "partner_token": client.demo.partner_token}
    lines += [f"{name}: {value.format(**named)}" for name, value in headers.items() if value]
    if content is not None:
        lines.append(f"Content-Length: {len(content)}")
    head = "\r\n".join((*lines, "", "")).encode()
    port = int(client.demo.base_url.rpartition(":")[2])
    return await asyncio.wait_for(_exchange(port, head + (content or b"")), _SECONDS)


def _path_of(client: Client, given: Input) -> str:
    if given.absolute:
        return given.path
    return (
        given.path.format(client.instance) if "{}" in given.path else client.instance + given.path
    )


async def _exchange(port: int, written: bytes) -> Answered:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(written)
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = head.lower().partition("content-length: ")[2].partition("\r")[0]
        text = (await reader.readexactly(int(length or 0))).decode()
        return Answered(int(head.split()[1]), text)
    finally:
        writer.close()


async def ended(client: Client, message_id: str) -> dict[str, Any]:
    """Waits until a message is sent or failed, and returns it as `GET /messages` does."""
    found = await until(
        partial(client.call, "GET", f"/messages/{message_id}"),
        lambda answer: str(answer.json().get("status", "")).lower() in _ENDED,
        seconds=_SECONDS,
    )
    message: dict[str, Any] = found.json()
    return message


async def results_of(
    client: Client, files_url: str, given: Sequence[Input]
) -> list[tuple[Input, Result]]:
    """Sends all inputs, and then looks where their messages arrived."""
    answers = [(each, await call(client, each, files_url)) for each in given]
    accepted = [answered.message_id for _, answered in answers if answered.message_id]
    messages = {message_id: await ended(client, message_id) for message_id in accepted}
    arrived = {row["messageId"]: row for row in await client.sent()}
    return [(each, _compared(each, answered, messages, arrived)) for each, answered in answers]


def _compared(
    given: Input,
    answered: Answered,
    messages: Mapping[str, Mapping[str, Any]],
    arrived: Mapping[str, Mapping[str, Any]],
) -> Result:
    faults = [] if answered.status == given.status else [f"expected {given.status}"]
    if given.sentence not in answered.text:
        faults.append(f"expected {given.sentence}")
    message_id = answered.message_id or ""
    row, error = arrived.get(message_id), messages.get(message_id, {}).get("error") or ""
    if given.failed:
        faults += [] if given.failed in error else [f"expected a failure: {given.failed}"]
    elif given.to or message_id:
        faults += _faults_of(given, row)
    seen = f"{row['phone']} {_shown(row['payload'])}" if row else error or answered.text[:90]
    return Result(answered.status, seen, faults)


def _faults_of(given: Input, row: Mapping[str, Any] | None) -> list[str]:
    if row is None:
        return ["did not arrive"]
    faults = [f"expected {given.to}"] if given.to and row["phone"] != given.to else []
    wrong = [name for name, value in given.arrived.items() if _at(row["payload"], name) != value]
    return faults + [f"expected {name} {given.arrived[name]!r}" for name in wrong]


def _at(value: Any, place: str) -> Any:
    for part in place.split("."):
        value = value[int(part)] if part.isdigit() else value.get(part)
    return value


def _shown(payload: Mapping[str, Any]) -> str:
    files = payload.get("files")
    if files:
        return ", ".join(str(files[0].get(name)) for name in ("mimeType", "size", "fileName"))
    return ascii(payload.get("message", ""))


def put_files(server: FileServer) -> str:
    """Puts the files of the inputs on a server, and returns its address."""
    picture = media.picture()
    answers = {
        "/a.png": media.file(picture),
        "/a.png?n=%C3%A3%20b": media.file(picture),
        "/a%00b.png": media.file(picture),
        "/gzip/a.png": media.whole(200, gzip.compress(picture), "Content-Encoding: gzip"),
        "/deflate/a.png": media.whole(200, zlib.compress(picture), "Content-Encoding: deflate"),
        "/aws-chunked/a.png": media.whole(200, picture, "Content-Encoding: aws-chunked"),
        "/none/a.png": media.whole(200, picture, "Content-Encoding: none"),
        "/empty/a.png": media.whole(200, picture, "Content-Encoding:"),
        "/two-lines/a.png": media.whole(
            200, gzip.compress(picture), "Content-Encoding: identity", "Content-Encoding: gzip"
        ),
        "/203/a.png": media.whole(203, picture),
        "/206/a.png": media.whole(206, picture),
        "/cookie/a.png": media.whole(200, picture, "Set-Cookie: ok=1; Path=/"),
        "/a.heic": media.file(Photo(gradient((800, 600))).heic()),
        "/short.jpg": media.file(media.picture("JPEG", (400, 300))[:-20]),
        "/a.ts": media.file(video_in(VideoForm("mpegts", "libx264"))),
        "/a.mov": media.file(video_in(VideoForm("mov", "libx265", "aac", "yuv420p10le"))),
        "/a.webm": media.file(video_in(VideoForm("webm", "libvpx-vp9", "libopus"))),
    }
    for path, answer in answers.items():
        server.put(path, answer)
    return f"http://127.0.0.1:{server.port}"


@asynccontextmanager
async def running_client() -> AsyncIterator[tuple[RunningGateway, Client]]:
    """Runs a gateway with a Postgres of its own, and yields the client of a connected instance."""
    settings = {
        "GATEWAY_MAX_ATTEMPTS": "1",
        "GATEWAY_SANDBOX_RECEIPTS": "off",
        "GATEWAY_CORS_ORIGINS": "https://shop.example.com",
        "GATEWAY_ACCOUNT_REQUESTS_PER_SECOND": "0",
        "GATEWAY_INSTANCE_REQUESTS_PER_SECOND": "0",
    }
    with public_folder() as folder:
        postgres = EmbeddedPostgres(folder / "pg")
        await postgres.start()
        try:
            await migrate(postgres.url)
            with (
                public_folder() as data,
                running_gateway(data, postgres.url, **settings) as gateway,
            ):
                await gateway.ready()
                (demo,) = await add_account(gateway, 1)
                async with client_of(gateway, demo) as client:
                    await connected([client])
                    yield gateway, client
                gateway.kill()
        finally:
            await postgres.stop()


async def run() -> list[str]:
    """Prints what became of each input, and returns the faults."""
    faults = []
    async with running_client() as (_gateway, client), media.file_server() as server:
        for given, result in await results_of(client, put_files(server), inputs()):
            verdict = "WRONG" if result.faults else "right"
            seen = "; ".join((*result.faults, result.seen))
            sys.stdout.write(
                _ROW.format(verdict, given.kind, given.name[:44], result.status, seen[:120])
            )
            faults += [f"{given.kind} {given.name}: {fault}" for fault in result.faults]
        if "cookie" in set().union(*server.headers):
            faults.append("K02: a cookie came back")
    sys.stdout.write(f"{len(faults)} faults in {len(inputs())} inputs\n")
    return faults


def main() -> None:
    sys.exit(1 if asyncio.run(run()) else 0)


if __name__ == "__main__":
    main()
