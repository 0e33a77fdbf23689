"""What a child sends is JSON for the engine, whatever a sender put into a message."""

import asyncio
import json
import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from gateway.providers.baileys.frames import NodeNotice, read_frame
from tests.fixtures.baileys_packages import installed_packages

CHILD = Path(__file__).parents[2] / "gateway/providers/baileys/child"
CODE = """
const [fd, child, packages] = process.argv.slice(1);
const { Link } = await import(child + '/link.mjs');
const { Messages } = await import(child + '/names.mjs');
const { Keys } = await import(child + '/keys.mjs');
const { loadLibrary } = await import(child + '/library.mjs');
const { Unreadable } = await import(child + '/unreadable.mjs');
const library = await loadLibrary(packages);
const { proto } = library.baileys;
const link = new Link(Number(fd), {});
const outbox = { addEvent: (name, body) => link.notice('ana', name, body) };
const messages = new Messages(proto);
const unreadable = new Unreadable(library, outbox, new Keys(library, outbox, null));

const half = proto.Message.decode(new Uint8Array([0x0a, 3, 0xed, 0xa0, 0x80]));
outbox.addEvent('Message', messages.asJson(half));

const key = { remoteJid: '1@s.whatsapp.net', id: 'DEEP' };
let message = { conversation: 'x' };
for (let level = 0; level < 2000; level++) message = { viewOnceMessage: { message } };
const deep = proto.WebMessageInfo.create({ key, message });
try {
  messages.asJson(deep.message);
} catch (error) {
  unreadable.message(error, deep);
}
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
async def test_half_a_character_and_too_many_levels_are_sent_as_json() -> None:
    own, other = socket.socketpair()
    process = await asyncio.create_subprocess_exec(
        "node",
        "--input-type=module",
        "-e",
        CODE,
        str(other.fileno()),
        str(CHILD),
        str(installed_packages()),
        pass_fds=(other.fileno(),),
    )
    other.close()
    reader, writer = await asyncio.open_unix_connection(sock=own)
    half, deep = await notice_from(reader), await notice_from(reader)
    assert half == {"conversation": "\ufffd"}
    assert "levels" in deep["error"]
    assert deep["MessageSource"]["Chat"]["User"] == "1"
    assert len(deep["message"]) > len(json.dumps(deep["MessageSource"]))
    writer.close()
    assert await process.wait() == 0


async def notice_from(reader: asyncio.StreamReader) -> dict[str, Any]:
    frame = await read_frame(reader)
    assert isinstance(frame, NodeNotice)
    return frame.body
