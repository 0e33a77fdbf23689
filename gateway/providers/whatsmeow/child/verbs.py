"""The verbs of the engine's commands, and the clients that they run on."""

import asyncio
import base64
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message as Protobuf
from neonize._binder import gocode
from neonize.proto.Neonize_pb2 import Message, MessageInfo, MessageSource
from neonize.proto.waE2E import WAWebProtobufsE2E_pb2
from neonize.utils.enum import (
    ChatPresence,
    ChatPresenceMedia,
    ClientType,
    MediaType,
    ReceiptType,
)
from neonize.utils.jid import Jid2String, JIDToNonAD

from gateway.providers.whatsmeow.child.calls import CALLS, as_json
from gateway.providers.whatsmeow.child.client import Client, as_dict, devices_in, jid_of, parsed
from gateway.providers.whatsmeow.child.frames import Command, CommandReply
from gateway.providers.whatsmeow.child.link import Link

Arguments = dict[str, Any]
Verb = Callable[[Client, Arguments], Awaitable[Any]]
VERBS: dict[str, Verb] = {}

# The binding declares no result for this function, which would then return an address, not bytes.
gocode.DecryptPollVote.errcheck = gocode.GetMe.errcheck

_STOP_SECONDS = 3.0
# Go's maps of clients have no lock: two clients that start at once may abort the process.
_START_LOCK = asyncio.Lock()


def verb(function: Verb) -> Verb:
    VERBS[function.__name__] = function
    return function


class CommandRefused(Exception):
    """The process is suspended."""


class Verbs:
    """The clients of this process, by instance; `Clients` says how they are suspended."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._clients: dict[str, Client] = {}
        self._is_suspended = False
        # Go may still call back into a stopped client, so that it must never be collected.
        self._stopped: list[Client] = []

    def can_suspend(self) -> bool:
        clients = self._clients.values()
        return (
            bool(clients)
            and not _START_LOCK.locked()
            and all(client.has_connected for client in clients)
        )

    def suspend(self) -> None:
        self._is_suspended = True

    async def disconnect(self) -> None:
        await asyncio.gather(
            *(
                asyncio.to_thread(gocode.Disconnect, client.api.uuid)
                for client in self._clients.values()
            )
        )

    async def stop(self) -> None:
        while self._clients:
            _, client = self._clients.popitem()
            self._stopped.append(client)
            await client.api.stop()

    def resume(self) -> None:
        self._is_suspended = False

    async def run(self, command: Command) -> None:
        """Runs the command and replies with its result, or with the name and text of its error."""
        try:
            result = await self._run(command)
        except Exception as error:  # noqa: BLE001 - the engine decides what each error means
            self._link.reply(CommandReply(command.number, None, type(error).__name__, str(error)))
        else:
            self._link.reply(CommandReply(command.number, result))

    async def _run(self, command: Command) -> Any:  # noqa: ANN401 - verbs return many types
        if self._is_suspended:
            raise CommandRefused
        if command.verb == "open":
            client = Client(command.instance_id, self._link)
            async with _START_LOCK:
                await client.open(**command.arguments)
            self._clients[command.instance_id] = client
            return None
        if command.verb == "open_store":
            return await asyncio.to_thread(devices_in, command.arguments["store"])
        client = self._clients[command.instance_id]
        if command.verb == "close":
            del self._clients[command.instance_id]
            async with _START_LOCK, asyncio.timeout(_STOP_SECONDS):
                # A stop in the middle of a message would lose it: the library has decrypted it
                # and not reported it.
                await client.api.set_passive(True)
                await self._link.quiet()
                await client.api.stop()
            return None
        if call := CALLS.get(command.verb):
            return as_json(await call(client.api, command.arguments))
        return await VERBS[command.verb](client, command.arguments)


@verb
async def send(client: Client, given: Arguments) -> Arguments:
    return await client.send(given["chat"], given["message"])


@verb
async def become_available(client: Client, _given: Arguments) -> None:
    await client.become_available()


@verb
async def probe(client: Client, _given: Arguments) -> None:
    """Sends a request that changes nothing, and that WhatsApp's server answers."""
    await client.api.set_passive(False)


@verb
async def ping(client: Client, _given: Arguments) -> bool:
    """Returns whether the client is logged in: the answer proves that the process still works."""
    alive: bool = await client.api.is_logged_in
    return alive


@verb
async def me(client: Client, _given: Arguments) -> Arguments:
    found = await client.api.get_me()
    return as_dict(found) | {"device": Jid2String(found.JID)}


@verb
async def pair_code(client: Client, given: Arguments) -> str:
    code: str = await client.api.PairPhone(
        given["phone"], show_push_notification=True, client_type=ClientType.CHROME
    )
    return code


@verb
async def log_out(client: Client, _given: Arguments) -> None:
    await client.api.logout()


@verb
async def typing(client: Client, given: Arguments) -> None:
    shown = (
        ChatPresence.CHAT_PRESENCE_COMPOSING if given["on"] else ChatPresence.CHAT_PRESENCE_PAUSED
    )
    media = ChatPresenceMedia.CHAT_PRESENCE_MEDIA_TEXT
    await client.api.send_chat_presence(jid_of(given["chat"]), shown, media)


@verb
async def mark_read(client: Client, given: Arguments) -> None:
    await client.api.mark_read(
        *given["ids"],
        chat=jid_of(given["chat"]),
        sender=jid_of(given["sender"]),
        receipt=ReceiptType.READ,
    )


@verb
async def reject_call(client: Client, given: Arguments) -> None:
    await client.api.reject_call(jid_of(given["caller"]), given["call_id"])


@verb
async def upload(client: Client, given: Arguments) -> Arguments:
    content = await asyncio.to_thread(Path(given["path"]).read_bytes)
    return as_dict(await client.api.upload(content, MediaType[given["type"]]))


@verb
async def download(client: Client, given: Arguments) -> None:
    await client.api.download_any(parsed(given["message"]), given["path"])


@verb
async def poll_vote(client: Client, given: Arguments) -> Arguments:
    """Returns a vote encrypted with the poll's secret; `sender` is None for this account's poll."""
    me = await client.api.get_me()
    chat, is_own = jid_of(given["chat"]), given["sender"] is None
    sender = JIDToNonAD(me.JID) if is_own else jid_of(given["sender"])
    in_group = chat.Server == "g.us"
    source = MessageSource(Chat=chat, Sender=sender, IsFromMe=is_own, IsGroup=in_group)
    information = MessageInfo(ID=given["id"], MessageSource=source)
    _complete(information)
    return as_dict(await client.api.build_poll_vote(information, given["options"]))


@verb
async def read_poll_vote(client: Client, given: Arguments) -> list[str]:
    """Returns the hashes of the chosen options, as base64."""
    event = ParseDict(given["event"], Message())
    _complete(event)
    vote = await client.api.decrypt_poll_vote(event)
    return [base64.b64encode(option).decode() for option in vote.selectedOptions]


@verb
async def serialised(_client: Client, given: Arguments) -> str:
    """Returns the bytes of a protobuf message of WhatsApp, as base64."""
    message = getattr(WAWebProtobufsE2E_pb2, given["kind"])()
    ParseDict(given["fields"], message)
    return base64.b64encode(message.SerializeToString()).decode()


@verb
async def revoke(client: Client, given: Arguments) -> None:
    me = await client.api.get_me()
    sender = jid_of(given["sender"]) if given["sender"] else JIDToNonAD(me.JID)
    async with client.encrypting():
        await client.api.revoke_message(jid_of(given["chat"]), sender, given["id"])


def _complete(message: Protobuf) -> None:
    """Sets each missing required field to its default, as in the library's own events."""
    for field in message.DESCRIPTOR.fields:
        if not field.is_required:
            continue
        if field.message_type:
            getattr(message, field.name).SetInParent()
        elif not message.HasField(field.name):
            setattr(message, field.name, field.default_value)
    for field, value in message.ListFields():
        if field.message_type and not field.is_repeated:
            _complete(value)
