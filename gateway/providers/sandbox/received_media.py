"""Files of messages others wrote: the sandbox carries them in its events."""

import asyncio

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.received_media import ReadReceivedFile
from gateway.errors import Refused
from gateway.providers.sandbox.session import SandboxSession

operations: Handlers[SandboxSession] = Handlers()


@operations.handles(ReadReceivedFile)
async def read_received_file(session: SandboxSession, asked: ReadReceivedFile) -> Value:
    session.require_right_to_act()
    if len(asked.reference) > asked.most_bytes:
        raise Refused("The file is too large.")
    await asyncio.to_thread(asked.path.write_bytes, asked.reference)
    return Value()
