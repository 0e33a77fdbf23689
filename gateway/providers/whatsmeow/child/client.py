"""One client of the library, with the defects of its Python binding corrected."""

import asyncio
import ctypes
import os
import re
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import neonize.aioze.client as library
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message import Message as Protobuf
from neonize._binder import ProxySettings, func_callback_bytes2, gocode
from neonize.aioze.client import ContactStore, NewAClient
from neonize.events import INT_TO_EVENT
from neonize.proto.Neonize_pb2 import JID, LogEntry
from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message
from neonize.utils.enum import Presence

from gateway.providers.whatsmeow.child.link import Link
from gateway.providers.whatsmeow.child.receiving import Receiving

_DEVICE = 0
_DIALLING = "failed to dial whatsapp"
_ERROR, _DELIMITER = "error: ", "|\u0001|"  # in the library's list of devices
_MAX_MESSAGES_OF_CHAT = 20
_DUPLICATES = ("Raw", "SourceWebMsg")
_SENT_MESSAGE = re.compile(r"<message\b[^>]*")
_ID = re.compile(r"""\bid=['"]([^'"]+)['"]""")
_PEER = re.compile(r"""\bcategory=['"]peer['"]""")


class NotPaired(Exception):
    """The key store has no such device. Connecting as one would abort the process."""


def jid_of(text: str) -> JID:
    """Parses `user:device@server`."""
    user, _, server = text.rpartition("@")
    user, _, device = user.partition(":")
    return JID(User=user, Device=int(device or 0), RawAgent=0, Integrator=0, Server=server)


def as_dict(message: Protobuf) -> dict[str, Any]:
    found: dict[str, Any] = MessageToDict(message)
    return found


def parsed(fields: dict[str, Any]) -> Message:
    message = Message()
    ParseDict(fields, message)
    return message


class KeyStoreClosed(Exception):
    """The database of the key store does not open; the text is the driver's."""


class Client:
    """Reports the events of one instance in order: each is acknowledged before the next."""

    def __init__(self, instance_id: str, link: Link) -> None:
        self.instance_id, self._link = instance_id, link
        self.sending = asyncio.Lock()
        self._announced: str | None = None
        self._awaiting_id = False
        self.has_connected = False
        self._receiving = Receiving(partial(link.report_and_wait, instance_id))
        self.api: NewAClient

    async def open(
        self,
        *,
        store: str,
        device: str | None,
        uuid: str,
        name: str,
        proxy: dict[str, Any] | None,
    ) -> None:
        """Connects as a device of the key store, or shows QR codes to link a new one.

        Args:
            store: a path of SQLite, or a URL of Postgres.
            device: `user:device@server`; None links a new one.
            uuid: names this client among those of the process.
            name: what the phone shows among its linked devices.
            proxy: the instance's; without one, the environment's variables count.

        Raises:
            NotPaired: the store has no such device.
            KeyStoreClosed: the store does not open.
        """
        if device is not None and device not in await asyncio.to_thread(devices_in, store):
            raise NotPaired(device)
        self.api = api = NewAClient(
            store,
            # Without a jid the library would resume the first device of the store.
            jid=jid_of(device) if device else None,
            props=DeviceProps(os=name, platformType=DeviceProps.CHROME),
            uuid=uuid,
            new_device=device is None,
        )
        # Given a jid, the library names the client by the bare number, which two devices share.
        api.uuid = uuid.encode()
        api.contact = ContactStore(api.uuid)
        # The finalizer of an earlier client of this uuid would stop this one when it is collected.
        api._stop_finalizer.detach()  # noqa: SLF001 - no public method does it
        # The library's own dispatch starts a task per event: events would overtake each other, and
        # WhatsApp would get the receipt of a message before it is stored.
        api.event.execute = self._on_event
        api.event.list_func = dict.fromkeys(code for code in INT_TO_EVENT if code != _DEVICE)
        api.qr(self._on_qr)
        # The library reads this name once, when it connects. Its log is the only place that shows
        # the id of a message before the message leaves.
        library.log_whatsmeow = self._on_log
        connected = await api.connect(_proxy_settings(proxy) if proxy else None)
        connected.add_done_callback(self._on_end)
        self._connected = connected

    async def send(self, chat: str, fields: dict[str, Any]) -> dict[str, Any]:
        message = parsed(fields)
        async with self.sending:
            await asyncio.to_thread(self._receiving.begin_encryption)
            self._announced, self._awaiting_id = None, True
            try:
                sent = await self.api.send_message(jid_of(chat), message)
            finally:
                self._awaiting_id = False
                if self._announced is None:
                    self._receiving.end_encryption()
        return {"id": sent.ID, "serverId": sent.ServerID, "timestamp": sent.Timestamp}

    @asynccontextmanager
    async def encrypting(self) -> AsyncIterator[None]:
        """Keeps messages that arrive from being decrypted, as `send` does until one leaves."""
        await asyncio.to_thread(self._receiving.begin_encryption)
        try:
            yield
        finally:
            self._receiving.end_encryption()

    async def become_available(self) -> None:
        """Shows this device as available. Otherwise others see one tick for what they send."""
        await self.api.set_force_activate_delivery_receipts(True)
        try:
            await self.api.send_presence(Presence.AVAILABLE)
        except Exception:  # noqa: BLE001 - the name is unknown until the first synchronisation
            return

    def _on_event(self, _uuid: int, binary: int, size: int, code: int) -> None:
        """Runs on Go's one thread for events. It returns when the engine has stored the event."""
        try:
            event = INT_TO_EVENT[code].FromString(ctypes.string_at(binary, size))
            name = type(event).__name__
            self.has_connected = self.has_connected or name == "Connected"
            self._receiving.report_event(name, _shortened(name, event))
        except Exception:  # noqa: BLE001 - the library would ignore it, and lose the event
            traceback.print_exc()
            os._exit(1)

    async def _on_qr(self, _client: NewAClient, text: bytes) -> None:
        await self._link.report(self.instance_id, "QrShown", {"text": text.decode()})

    def _on_log(self, binary: int, size: int) -> None:
        """Runs on the thread that sends, before that writes to the network."""
        entry = LogEntry.FromString(ctypes.string_at(binary, size))
        self._receiving.on_log(entry.Name, entry.Message)
        if entry.Name.endswith("Send") and (start := _SENT_MESSAGE.match(entry.Message)):
            self._before_message(start[0])
        elif entry.Level in {"WARN", "ERROR"}:
            sys.stderr.write(f"{entry.Name} {entry.Level} {entry.Message}\n")
            if _DIALLING in entry.Message:
                self._link.report_soon(self.instance_id, "Unreachable", {"error": entry.Message})

    def _before_message(self, stanza: str) -> None:
        """Reports the id of what the engine sends; other messages are repeated, or go to peers."""
        is_awaited = self._awaiting_id and not self._announced and not _PEER.search(stanza)
        if is_awaited and (found := _ID.search(stanza)):
            self._announced = found[1]
            self._receiving.end_encryption()
            self._link.report_and_wait(self.instance_id, "Sending", {"id": found[1]})
        else:
            self._link.report_and_wait(self.instance_id, "Leaving", {})

    def _on_end(self, task: asyncio.Task[None]) -> None:
        failed = None if task.cancelled() else task.exception()
        self._link.report_soon(self.instance_id, "Ended", {"error": str(failed) if failed else ""})


def devices_in(store: str) -> list[str]:
    """Returns the devices in a key store, as `user:device@server`.

    It calls Go directly, because the library's wrapper reads the text of an error as a device.

    Raises:
        KeyStoreClosed: the store does not open.
    """
    logged = func_callback_bytes2(lambda _binary, _size: None)
    listed: str = gocode.GetAllDevices(store.encode(), logged).decode()
    if listed.startswith(_ERROR):
        raise KeyStoreClosed(listed.removeprefix(_ERROR))
    return [device.partition(",")[0] for device in listed.split(_DELIMITER) if device]


def _proxy_settings(proxy: dict[str, Any]) -> ProxySettings:
    limits = {name: on for name, on in proxy.items() if name != "proxy_url"}
    return ProxySettings(proxy["proxy_url"], **limits)


def _shortened(name: str, event: Protobuf) -> dict[str, Any]:
    """Returns the event as JSON, without the fields that repeat others."""
    for field in _DUPLICATES if name == "Message" else ():
        event.ClearField(field)
    if name == "HistorySync":
        return _conversations(event)
    return as_dict(event)


def _conversations(event: Any) -> dict[str, Any]:  # noqa: ANN401 - protobuf makes the class at run time
    """Returns chats, names and the newest messages of a synchronisation, not all its megabytes."""
    for chat in event.Data.conversations:
        del chat.messages[_MAX_MESSAGES_OF_CHAT:]  # the newest come first
    data = as_dict(event)["Data"]
    wanted = ("syncType", "progress", "conversations", "pushnames", "phoneNumberToLidMappings")
    return {field: data[field] for field in wanted if field in data}
