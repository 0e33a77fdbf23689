"""The head of a response is written with its body, and is never lost."""

import asyncio
from collections.abc import Iterable
from typing import cast

from gateway.runtime.http_protocol import HoldingHeads

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class RecordingTransport:
    """Records each system call that a real transport would make."""

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


async def test_head_is_written_together_with_its_body() -> None:
    heads, transport = holding()
    heads.write(HEAD)
    heads.write(b"body")
    heads.write(b"more")
    await asyncio.sleep(0)

    assert transport.sent == [HEAD + b"body", b"more"]


async def test_head_without_body_is_written_in_the_next_turn() -> None:
    heads, transport = holding()
    heads.write(HEAD)
    assert transport.sent == []
    await asyncio.sleep(0)

    assert transport.sent == [HEAD]


async def test_close_writes_the_delayed_head_first() -> None:
    heads, transport = holding()
    heads.write(HEAD)
    heads.close()
    await asyncio.sleep(0)

    assert (transport.sent, transport.closed) == ([HEAD], True)


async def test_lost_connection_gets_no_head() -> None:
    heads, transport = holding()
    heads.write(HEAD)
    transport.close()
    await asyncio.sleep(0)

    assert transport.sent == []
