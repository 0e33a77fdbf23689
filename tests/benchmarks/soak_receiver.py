"""The receiver of `soak`, a process of its own: it answers 200 and stores nothing.

Its output has a line for each callback: `D 3EB0...` for a text that was sent, `R IN17` for a
message that came in. The first line is its port.
"""

import asyncio
import json
import sys

import uvloop

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Receiver(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._unread = transport, b""

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while True:
            head, mark, rest = self._unread.partition(b"\r\n\r\n")
            if not mark:
                return
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            if len(rest) < length:
                return
            body, self._unread = json.loads(rest[:length]), rest[length:]
            sys.stdout.write(f"{body['type'][0]} {body['messageId']}\n")
            sys.stdout.flush()
            self._transport.write(_ANSWER)  # type: ignore[attr-defined]


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
