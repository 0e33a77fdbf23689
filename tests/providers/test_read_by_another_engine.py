"""Every documented send is read by two implementations as its sender wrote it."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import orjson
import pytest
from _pytest.mark import ParameterSet  # its type has no public name

from gateway.contract.catalogue import catalogue
from gateway.contract.known import KnownMessage
from gateway.contract.media import MediaFile
from gateway.contract.send import OutgoingMessage
from gateway.contract.zapi.groups.group import CreateGroup
from gateway.errors import NotSupported
from gateway.providers.loading import load_provider, provider_names
from gateway.sessions.provider import MessageReceived, Receipt
from tests.fixtures.media import picture, sound, video
from tests.providers import baileys_node, whatsmeow_node
from tests.providers.baileys_client.client import BaileysProcess
from tests.providers.expected_sends import (
    EARLIER,
    NOT_REPORTED,
    REFERENCES,
    REFERRING,
    examples,
    expected,
)
from tests.providers.fake_whatsapp.client import FakeWhatsApp
from tests.providers.known_messages import known_of, own
from tests.providers.reading import BaileysReader, Sender, WhatsmeowReader, flat, plain


@asynccontextmanager
async def whatsmeow_sender(url: str, folder: Path, whatsapp: FakeWhatsApp) -> AsyncIterator[Sender]:
    async with whatsmeow_node.node_at(url, folder, whatsapp, keys="file") as node:
        # Any, because mypy compares the union of both sessions with the protocol as one type.
        sender: Any = await node.linked("sender")
        yield sender


@asynccontextmanager
async def baileys_sender(url: str, _folder: Path, whatsapp: FakeWhatsApp) -> AsyncIterator[Sender]:
    async with baileys_node.node_at(url, whatsapp) as node:
        sender: Any = await node.linked("sender")
        yield sender


SENDERS: Final[
    Mapping[str, Callable[[str, Path, FakeWhatsApp], AbstractAsyncContextManager[Sender]]]
] = {
    "baileys": baileys_sender,
    "whatsmeow": whatsmeow_sender,
}
"""How an instance of each provider is linked, by the provider's name."""


@dataclass
class Exchange:
    """A sender, a person who reads by both implementations, and what messages refer to."""

    provider: str
    sender: Sender
    baileys: BaileysReader
    whatsmeow: WhatsmeowReader
    whatsapp: FakeWhatsApp
    files: Mapping[str, MediaFile]
    group: str
    in_group: bool
    """Whether all chats are the group, whose messages are encrypted by keys of their senders."""
    earlier: dict[str, KnownMessage]
    count: int = 0

    @property
    def phone(self) -> str:
        return self.whatsmeow.line.phone

    async def send(
        self, declared: type[OutgoingMessage], example: Mapping[str, Any], reference: str = "text"
    ) -> Receipt:
        self.count += 1
        known = [self.earlier[reference]] if reference in self.earlier else []
        message = declared.model_validate(self._addressed(example))
        return await self.sender.send(message, f"OURS{self.count}", *known, **self.files)

    async def prepare(self) -> None:
        """Exchanges the messages to which others refer."""
        sends = catalogue().sends
        for name, path in (("text", "text"), ("poll", "poll"), ("event", "event")):
            declared = sends[f"send-{path}"]
            receipt = await self.send(declared, declared.example_minimal or declared.example)
            chat = self._chat("-group" if name == "event" else "")
            self.earlier[name] = own(EARLIER, chat, receipt)
        order = sends["send-order"]
        receipt = await self.send(order, order.example)
        self.earlier["order"] = own(EARLIER, self._chat(""), receipt)
        for name, path in (
            ("list", "send-option-list"),
            ("actions", "send-button-actions"),
            ("status", "send-text-status"),
        ):
            self.earlier[name] = await self._received(name, sends[path])

    async def _received(self, name: str, declared: type[OutgoingMessage]) -> KnownMessage:
        """Has the reader send a message to the sender."""
        example = dict(declared.example_minimal or declared.example)
        if "phone" in example:
            example["phone"] = self.sender.phone
        message = declared.model_validate(example)
        receipt = await self.whatsmeow.line.send(message, f"THEIRS {name}")
        received = await self.sender.wait_for_message(receipt.provider_message_id)
        return known_of(received, EARLIER)

    def _addressed(self, example: Mapping[str, Any]) -> dict[str, Any]:
        """Names the reader or the group, the earlier message, and the files."""
        body = {n: _with_files(value, self.files) for n, value in example.items()}
        body |= {n: EARLIER for n in body if n.lower().endswith("messageid")}
        if "phone" in body:
            body["phone"] = self._chat(body["phone"])
        return body

    def _chat(self, named: str) -> str:
        return self.group if self.in_group or named.endswith("-group") else self.phone


def _with_files(value: Any, files: Mapping[str, MediaFile]) -> Any:
    """Replaces the URL of a file by the name of one, except where the contract requires a URL."""
    if isinstance(value, Mapping):
        return {n: v if n.endswith("Url") else _with_files(v, files) for n, v in value.items()}
    if isinstance(value, list | tuple):
        return [_with_files(each, files) for each in value]
    name = str(value).rpartition(".")[2]
    return name if str(value).startswith("https://") and name in files else value


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, MediaFile]:
    folder = tmp_path_factory.mktemp("files")
    contents = {
        "png": (picture(), "image/png"),
        "mp4": (video(), "video/mp4"),
        "mp3": (sound(0.1), "audio/ogg"),
        "pdf": (b"%PDF-1.4\n%%EOF\n", "application/pdf"),
        "webp": (picture("WEBP"), "image/webp"),
    }
    made = {}
    for name, (content, mime_type) in contents.items():
        path = folder / f"file.{name}"
        path.write_bytes(content)
        made[name] = MediaFile(
            path,
            mime_type,
            len(content),
            "",
            width=120,
            height=80,
            duration_seconds=3.0,
            waveform=bytes(range(64)),
            thumbnail=picture("JPEG"),
        )
    return made


def chats() -> Iterator[ParameterSet]:
    for name in sorted({*provider_names()} - {"sandbox"}):
        yield pytest.param((name, False), id=name)
        yield pytest.param((name, True), id=f"{name} in a group", marks=pytest.mark.long)


@pytest.fixture(scope="module", params=chats())
async def exchange(
    request: pytest.FixtureRequest,
    town: whatsmeow_node.Node,
    baileys: BaileysProcess,
    shared_database_url: str,
    files: Mapping[str, MediaFile],
) -> AsyncIterator[Exchange]:
    """A provider that has no row in SENDERS fails, and is not left out."""
    provider, in_group = request.param
    whatsapp, sending = town.whatsapp, SENDERS[provider]
    with TemporaryDirectory() as folder:
        async with sending(shared_database_url, Path(folder), whatsapp) as sender:
            line = await town.linked(f"reads {provider} {in_group}")
            client = await baileys.linked(f"reads {provider} {in_group}", line.phone)
            made = await sender.session.execute(
                CreateGroup.model_validate({"groupName": "Readers", "phones": [line.phone]})
            )
            for one, other in ((sender.phone, line.phone), (line.phone, sender.phone)):
                await whatsapp.control("save_contact", phone=one, person=other, name="Friend")
            readers = BaileysReader(client), WhatsmeowReader(line)
            exchange = Exchange(
                provider, sender, *readers, whatsapp, files, made.phone, in_group, {}
            )
            await exchange.prepare()
            yield exchange


@pytest.mark.parametrize("path", sorted(catalogue().sends))
async def test_send_is_read_as_it_was_written(
    exchange: Exchange, path: str, tmp_path: Path
) -> None:
    declared = catalogue().sends[path]
    if not load_provider(exchange.provider).supports(declared):
        with pytest.raises(NotSupported):
            await exchange.sender.send(declared.model_validate(declared.example), "NONE")
        return
    for name, example in examples(path):
        receipt = await exchange.send(declared, example, REFERENCES.get(path, "text"))
        await is_read_alike(exchange, name, receipt)
        await is_sent_as_expected(exchange, name, receipt)
        await files_are_fetched(exchange, receipt, tmp_path)


async def is_read_alike(exchange: Exchange, example: str, receipt: Receipt) -> None:
    """Both implementations read each field that the sender wrote, and no other."""
    message_id = receipt.provider_message_id
    by_baileys = await exchange.baileys.read(message_id)
    assert by_baileys.type == expected(exchange.provider, example, "content")
    assert receipt.provider_data
    written = plain(orjson.loads(receipt.provider_data)["message"])
    own_side = flat(written.content)
    assert flat(by_baileys.content) == own_side | await key_of_reader(
        exchange, example, written.type
    )
    if example.partition(" ")[0] in NOT_REPORTED:
        return
    by_whatsmeow = await exchange.whatsmeow.read(message_id)
    assert by_whatsmeow.type == by_baileys.type
    assert flat(by_whatsmeow.content) == own_side
    received = await exchange.whatsmeow.received(message_id)
    assert received.kind == expected(exchange.provider, example, "kind")
    assert received.content[received.kind]


async def key_of_reader(exchange: Exchange, example: str, kind: str) -> dict[str, Any]:
    """Returns the fields of a sender's own message as its recipient names it."""
    if kind not in REFERRING:
        return {}
    sender = f"{exchange.sender.phone}@s.whatsapp.net"
    if exchange.in_group:
        chat, participant = f"{exchange.group.removesuffix('-group')}@g.us", sender
    elif expected(exchange.provider, example, "address") == "phone":
        chat, participant = sender, ""
    else:
        lids = (await exchange.whatsapp.control("state"))["lids"]
        chat, participant = f"{lids[exchange.sender.phone]}@lid", ""
    key = {"remotejid": chat, "fromme": False, "participant": participant}
    return {f"{REFERRING[kind]}.{name}": value for name, value in key.items()}


async def is_sent_as_expected(exchange: Exchange, example: str, receipt: Receipt) -> None:
    """The server sees the type and the node `biz` that WhatsApp Web would send."""
    state = await exchange.whatsapp.control("state")
    # A device that could not decrypt it yet gets it again, by itself and without these.
    sent = next(s for s in state["sent"] if s["id"] == receipt.provider_message_id)
    assert sent["kind"] == expected(exchange.provider, example, "stanza")
    shown = [_tags(node) for node in sent["nodes"] if node["tag"] == "biz"]
    biz = expected(exchange.provider, example, "biz")
    assert shown == ([] if biz is None else [biz])


def _tags(node: Mapping[str, Any]) -> dict[str, Any]:
    return {child["tag"]: _tags(child) for child in node["nodes"]}


async def files_are_fetched(exchange: Exchange, receipt: Receipt, folder: Path) -> None:
    """Both implementations decrypt the file of the message, if it has one."""
    message_id = receipt.provider_message_id
    received = [
        event
        for event in exchange.whatsmeow.line.events
        if isinstance(event, MessageReceived) and event.provider_message_id == message_id
    ]
    if not received or not received[0].files:
        return
    fetched = await exchange.whatsmeow.file(message_id, folder)
    assert fetched in [file.path.read_bytes() for file in exchange.files.values()]
    assert await exchange.baileys.file(message_id, folder) == fetched
