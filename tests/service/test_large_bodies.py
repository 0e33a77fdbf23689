"""What a JSON body holds beside its files stays small, in memory and in time."""

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fixtures.service import Client, RunningGateway

MIB = 1_048_576
JSON = {"Content-Type": "application/json"}
SMALL_PICTURE = base64.b64encode(bytes(150_000)).decode()


async def nested(name: str, size_bytes: int) -> AsyncIterator[bytes]:
    """A body that parses to millions of lists."""
    yield f'{{"phone":"5511999999999","{name}":['.encode()
    piece = b"[]," * 21_845
    for _ in range(size_bytes // len(piece)):
        yield piece
    yield b"[]]}"


def peak_bytes(gateway: RunningGateway) -> int:
    assert gateway.process is not None
    status = Path(f"/proc/{gateway.process.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/send-image"),
        ("POST", "/send-document/pdf"),
        ("PUT", "/profile-picture"),
        ("POST", "/update-group-photo"),
    ],
)
async def test_body_of_millions_of_values_is_refused_and_not_built(
    host: RunningGateway, client: Client, method: str, path: str
) -> None:
    before = peak_bytes(host)

    answer = await client.call(method, path, content=nested("a", 60 * MIB), headers=JSON)

    assert answer.status_code == 413, answer.text
    assert answer.json()["message"] == "The body holds more than 60000 values: send it in parts"
    assert peak_bytes(host) - before < 60 * MIB


async def test_carousel_of_small_pictures_is_accepted(client: Client) -> None:
    """Together they are larger than a body without files may be."""
    await client.call("POST", "/queue/pause")
    card = {"text": "Card", "image": SMALL_PICTURE, "buttons": [{"type": "REPLY", "label": "Go"}]}
    answer = await client.call(
        "POST",
        "/send-carousel",
        json={"phone": "5511999999999", "message": "Hello", "carousel": [card] * 10},
    )

    assert answer.status_code == 200, answer.text


async def test_fifty_thousand_numbers_are_one_body(client: Client) -> None:
    """With the spaces and signs that people write, more than a body may hold otherwise."""
    numbers = ["+55 (11) 99999-9999"] * 50_000

    answer = await client.call("POST", "/phone-exists-batch", json={"phones": numbers})

    assert answer.status_code == 200, answer.text
    assert len(answer.json()) == 50_000
