"""What the engine may ask of a client."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from neonize.utils.enum import (
    ChatPresence,
    ChatPresenceMedia,
    ClientType,
    MediaType,
    ReceiptType,
)
from neonize.utils.jid import Jid2String

from gateway.whatsmeow_child.client import Client, as_dict, jid_of, parsed
from gateway.whatsmeow_child.frames import Answer, Ask
from gateway.whatsmeow_child.link import Link

Arguments = dict[str, Any]
Verb = Callable[[Client, Arguments], Awaitable[Any]]
VERBS: dict[str, Verb] = {}

_STOP_SECONDS = 3.0
# The maps of clients in Go have no lock: two that start at once may abort the process.
_ONE_STARTS = asyncio.Lock()


def verb(function: Verb) -> Verb:
    VERBS[function.__name__] = function
    return function


class Verbs:
    """The clients of this process, by instance."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._clients: dict[str, Client] = {}

    async def carry_out(self, ask: Ask) -> None:
        try:
            result = await self._carry_out(ask)
        except Exception as error:  # noqa: BLE001 - the engine decides what each means
            self._link.answer(Answer(ask.number, None, type(error).__name__, str(error)))
        else:
            self._link.answer(Answer(ask.number, result))

    async def _carry_out(self, ask: Ask) -> Any:  # noqa: ANN401 - whatever the verb answers
        if ask.verb == "open":
            client = Client(ask.instance_id, self._link)
            async with _ONE_STARTS:
                await client.open(**ask.arguments)
            self._clients[ask.instance_id] = client
            return None
        client = self._clients[ask.instance_id]
        if ask.verb == "close":
            del self._clients[ask.instance_id]
            async with _ONE_STARTS, asyncio.timeout(_STOP_SECONDS):
                await client.api.stop()
            return None
        return await VERBS[ask.verb](client, ask.arguments)


@verb
async def send(client: Client, given: Arguments) -> Arguments:
    return await client.send(given["chat"], given["message"])


@verb
async def become_available(client: Client, _given: Arguments) -> None:
    await client.become_available()


@verb
async def probe(client: Client, _given: Arguments) -> None:
    """A question WhatsApp answers by itself and that changes nothing."""
    await client.api.set_passive(False)


@verb
async def ping(client: Client, _given: Arguments) -> bool:
    """Whether the process still turns, connected or not."""
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
