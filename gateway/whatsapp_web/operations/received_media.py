"""Files of received messages."""

import orjson

from gateway.contract.handlers import Handlers
from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.contract.operation import Value
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()


@operations.handles(ReadReceivedFile)
async def read_received_file(session: WebSession, operation: ReadReceivedFile) -> Value:
    """Has the library decrypt the file to disk, so that it takes no memory of the gateway."""
    await session.call(
        "download", message=orjson.loads(operation.reference), path=str(operation.path)
    )
    return Value()
