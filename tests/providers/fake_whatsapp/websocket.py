"""The connection of one client: decodes its frames into stanzas."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from neonize.proto.waWa6.WAWebProtobufsWa6_pb2 import ClientPayload
from pywhats.binary.node import AttrValue
from pywhats.events import JID
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.providers.fake_whatsapp import answers, linking, routing
from tests.providers.fake_whatsapp.accounts import HIDDEN, SERVER, Account, Device, Universe
from tests.providers.fake_whatsapp.codec import Node, decode, encode
from tests.providers.fake_whatsapp.noise import HEADER, Handshake, nonce
from tests.providers.fake_whatsapp.stanzas import now

_PATIENCE_SECONDS = 2.0


class Connection:
    """A connection; it is logged in once `account` is set."""

    def __init__(self, socket: WebSocket, universe: Universe) -> None:
        self.universe = universe
        self.account: Account | None = None
        self.number = 0
        self._socket = socket
        self._buffer = b""
        self._reads = self._writes = 0
        self._writing = asyncio.Lock()
        self._gone = asyncio.Event()
        self._is_caught_up = False
        self._read_key: AESGCM
        self._write_key: AESGCM

    @property
    def jid(self) -> JID:
        assert self.account
        return JID(self.account.phone, device=self.number)

    @property
    def hidden_jid(self) -> JID:
        assert self.account
        return JID(self.account.lid, HIDDEN, self.number)

    @property
    def device(self) -> Device:
        assert self.account
        return self.account.devices[self.number]

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as self._tasks:
                await self._run()
        except* (WebSocketDisconnect, InvalidTag, RuntimeError):
            pass  # the client went, in whatever way
        finally:
            self._gone.set()
            linking.forget(self)
            if self.account:
                device = self.account.devices.get(self.number)
                if device and device.connection is self:
                    device.connection = None

    async def send(self, node: Node) -> None:
        async with self._writing:
            cipher = self._write_key.encrypt(nonce(self._writes), encode(node), None)
            self._writes += 1
            await self._send_frame(cipher)

    async def deliver(self, node: Node) -> None:
        """Sends what is stored for the device, unless it waits for its turn in `_catch_up`."""
        if self._is_caught_up:
            await self.send(node)

    async def notify(self, kind: str, *content: Node) -> None:
        attributes = {"from": SERVER, "type": kind, "id": f"{kind} {secrets.token_hex(4)}"}
        told: dict[str, AttrValue] = {**attributes, "t": now()}
        await self.send(Node("notification", told, [*content]))

    async def close(self) -> None:
        await self._socket.close()

    async def hang_up(self, reason: Node) -> None:
        """Sends the reason, and lets the client read it before the connection closes."""
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):  # it went already
            await self.send(reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._gone.wait()
            if not self._gone.is_set():
                await self.close()

    async def _run(self) -> None:
        frames = self._frames()
        handshake = Handshake(self.universe.certificates)
        await self._send_frame(handshake.answer(await anext(frames)))
        payload, self._read_key, self._write_key = handshake.finish(await anext(frames))
        if payload.username:
            await self._log_in(payload)
        else:
            await linking.offer(self)
        async for frame in frames:
            plain = self._read_key.decrypt(nonce(self._reads), frame, None)
            self._reads += 1
            await self._take(decode(plain))

    async def _log_in(self, payload: ClientPayload) -> None:
        account = self.universe.accounts.get(str(payload.username))
        device = account.devices.get(payload.device) if account else None
        if account is None or device is None:
            await self.send(Node("failure", {"reason": "401", "location": "x"}))
            return
        if earlier := device.connection:
            # It waits for the earlier client to go, so it runs beside this connection.
            self._tasks.create_task(earlier.hang_up(routing.stream_error(conflict="replaced")))
        self.account, self.number, device.connection = account, payload.device, self
        self.universe.logins[account.phone] += 1
        await self.send(Node("success", {"t": now(), "lid": self.hidden_jid}))
        await self._catch_up(device.undelivered)

    async def _catch_up(self, undelivered: dict[str, Node]) -> None:
        """Sends what the device missed, in order; what comes meanwhile comes behind it.

        WhatsApp does so, too: it numbers these stanzas by `offline`, and sends new ones only after
        the `offline` that ends them (github.com/oxidezap/whatsapp-rust, issue 125).
        """
        await self.universe.may_catch_up.wait()
        count = str(len(undelivered))
        await self._tell("offline_preview", count=count, message=count)
        sent: dict[int, Node] = {}  # by identity: a copy that was asked for has the same id
        while node := next((each for each in undelivered.values() if id(each) not in sent), None):
            sent[id(node)] = node
            await self.send(Node(node.tag, node.attrs | {"offline": str(len(sent))}, node.content))
        self._is_caught_up = True
        await self._tell("offline", count=str(len(sent)))

    async def _tell(self, tag: str, **attributes: str) -> None:
        await self.send(Node("ib", {"from": SERVER}, [Node(tag, dict(attributes))]))

    async def _take(self, node: Node) -> None:
        if self.universe.mute and self.account:
            return
        if (namespace := node.attrs.get("xmlns")) in self.universe.ignored:
            self.universe.unanswered[namespace] += 1
            return
        if handle := _HANDLERS.get(node.tag):
            await handle(self, node)
        elif node.tag != "ib":
            self.universe.unknown[node.tag] += 1

    async def _send_frame(self, frame: bytes) -> None:
        await self._socket.send_bytes(len(frame).to_bytes(3, "big") + frame)

    async def _frames(self) -> AsyncIterator[bytes]:
        self._buffer = await self._socket.receive_bytes()
        if self._buffer[:4] == b"ED\0\1":  # routing information comes first
            self._buffer = self._buffer[7 + int.from_bytes(self._buffer[4:7], "big") :]
        assert self._buffer.startswith(HEADER)
        self._buffer = self._buffer[len(HEADER) :]
        while True:
            while len(self._buffer) < 3 or len(self._buffer) < 3 + self._next_length():
                self._buffer += await self._socket.receive_bytes()
            end = 3 + self._next_length()
            frame, self._buffer = self._buffer[3:end], self._buffer[end:]
            yield frame

    def _next_length(self) -> int:
        return int.from_bytes(self._buffer[:3], "big")


async def _query(connection: Connection, node: Node) -> None:
    signed = node.get_str("type") == "result"
    await (linking.signed if signed else answers.answer)(connection, node)


_HANDLERS: dict[str, Callable[[Connection, Node], Awaitable[None]]] = {
    "iq": _query,
    "message": routing.message,
    "receipt": routing.receipt,
    "ack": routing.taken,
    "call": routing.call_answer,
    "chatstate": routing.chat_state,
    "presence": routing.presence,
}
