"""Readers of what a provider sends: one person with a linked device of each implementation.

    provider under test --> fake WhatsApp --> Baileys   \
                                          --> whatsmeow  >  the same message in the eyes of both
"""

import json
from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

import orjson

from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.contract.known import KnownMessage
from gateway.contract.send import OutgoingMessage
from gateway.sessions.provider import MessageReceived, Receipt, Session
from tests.providers.baileys_client.client import BaileysClient
from tests.providers.whatsmeow_node import OpenSession

Result = TypeVar("Result")
Fields = dict[str, Any]

_WRAPPERS = (
    "devicesentmessage",
    "ephemeralmessage",
    "viewoncemessage",
    "documentwithcaptionmessage",
    "editedmessage",
)
_BETWEEN_DEVICES = {"senderkeydistributionmessage", "messagecontextinfo"}


class Sender(Protocol):
    """A linked instance of the provider under test."""

    @property
    def phone(self) -> str: ...

    @property
    def session(self) -> Session: ...

    async def send(
        self,
        message: OutgoingMessage,
        message_id: str = ...,
        *known: KnownMessage,
        **files: Any,
    ) -> Receipt: ...

    async def wait_for_message(self, provider_id: str) -> MessageReceived: ...


@dataclass(frozen=True)
class ReadMessage:
    """A message as one implementation reads it.

    `type` is the name of its content in WhatsApp's protobuf, `content` all of that in lower case:
    the implementations spell `URL` and `url`, numbers and bytes differently.
    """

    type: str
    content: Fields


class BaileysReader:
    """Reads by Baileys."""

    def __init__(self, client: BaileysClient) -> None:
        self.client = client

    async def read(self, message_id: str) -> ReadMessage:
        event = await self.client.message(message_id)
        return plain(event["content"])

    async def file(self, message_id: str, _folder: Path) -> bytes:
        encoded = await self.client.run("download", id=message_id)
        return b64decode(str(encoded).removeprefix("base64:"))


class WhatsmeowReader:
    """Reads by whatsmeow, in another instance of the gateway."""

    def __init__(self, line: OpenSession) -> None:
        self.line = line

    async def read(self, message_id: str) -> ReadMessage:
        received = await self.received(message_id)
        assert received.provider_data
        return plain(orjson.loads(received.provider_data)["message"])

    async def received(self, message_id: str) -> MessageReceived:
        return await self.line.wait_for(
            MessageReceived, lambda m: m.provider_message_id == message_id and not m.is_waiting
        )

    async def file(self, message_id: str, folder: Path) -> bytes:
        (file,) = (await self.received(message_id)).files
        path = folder / message_id
        await self.line.session.execute(ReadReceivedFile(reference=file.reference, path=path))
        return path.read_bytes()


def plain(message: Mapping[str, Any]) -> ReadMessage:
    """Returns the content of a message without its wrappers and what devices say to each other."""
    fields = _lower(message)
    while wrapper := next((name for name in _WRAPPERS if name in fields), None):
        fields = fields[wrapper]["message"]
    (kind,) = fields.keys() - _BETWEEN_DEVICES
    content = fields[kind]
    return ReadMessage(kind, content if isinstance(content, dict) else {"text": content})


def _lower(value: Any) -> Any:
    """Spells names and values in one way, whichever JSON of protobuf they come from."""
    if isinstance(value, Mapping):
        return {name.lower(): _lower(each) for name, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_lower(each) for each in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).removeprefix("base64:")


def flat(value: Any, path: str = "") -> dict[str, Any]:
    """Returns every field below *value* by its path; JSON inside a field is parsed."""
    if isinstance(value, dict):
        named = [flat(each, f"{path}.{name}" if path else name) for name, each in value.items()]
        return {name: each for fields in named for name, each in fields.items()}
    if isinstance(value, list):
        named = [flat(each, f"{path}[{index}]") for index, each in enumerate(value)]
        return {name: each for fields in named for name, each in fields.items()}
    if path.endswith("paramsjson"):
        return flat(_lower(json.loads(value)), f"{path}!")
    return {path: value}
