"""The head of an answer leaves with its body, and never stays behind."""

import asyncio
from collections.abc import Iterable
from typing import cast

from gateway.runtime.http_protocol import HoldingHeads

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class RecordingTransport:
    """Each system call that a real one would make."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def writelines(self, pieces: Iterable[bytes]) -> None:
        self.write(b"".join(pieces))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True


def holding() -> tuple[HoldingHeads, RecordingTransport]:
    transport = RecordingTransport()
    loop = asyncio.get_running_loop()
    return HoldingHeads(cast("asyncio.Transport", transport), loop), transport


async def test_head_and_body_are_written_at_once() -> None:
    heads, transport = holding()
    heads.write(HEAD)
    heads.write(b"body")
    heads.write(b"more")
    await asyncio.sleep(0)

    assert transport.sent == [HEAD + b"body", b"more"]


async def test_a_head_waits_no_longer_than_the_turn_of_the_loop() -> None:
    heads, transport = holding()
    heads.write(HEAD)
    assert transport.sent == []
    await asyncio.sleep(0)

    assert transport.sent == [HEAD]


async def test_what_is_held_leaves_before_the_connection_is_closed() -> None:
    heads, transport = holding()
    heads.write(HEAD)
    heads.close()
    await asyncio.sleep(0)

    assert (transport.sent, transport.closed) == ([HEAD], True)


async def test_a_connection_lost_meanwhile_is_not_written_to() -> None:
    heads, transport = holding()
    heads.write(HEAD)
    transport.close()
    await asyncio.sleep(0)

    assert transport.sent == []
