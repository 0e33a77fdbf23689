"""Files of received messages."""

from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from gateway.contract.handlers import Handlers
from gateway.contract.internal.received_media import ReadReceivedFile
from gateway.contract.media import MediaField
from gateway.contract.operation import Value
from gateway.errors import InvalidRequest
from gateway.whatsapp_web.session import WebSession

operations: Handlers[WebSession] = Handlers()

_HOST: Final = "whatsapp.net"
_MAX_BYTES: Final = MediaField("document").max_bytes


@operations.handles(ReadReceivedFile)
async def read_received_file(session: WebSession, operation: ReadReceivedFile) -> Value:
    """Has the library decrypt the file to disk, so that it takes no memory of the gateway."""
    message = at_whatsapp(orjson.loads(operation.reference))
    await session.call("download", message=message, path=str(operation.path), max_bytes=_MAX_BYTES)
    return Value()


def at_whatsapp(message: dict[str, Any]) -> dict[str, Any]:
    """Returns the message without addresses of files elsewhere: its sender chose them.

    Otherwise a stranger could have this machine ask any server, also of the operator's network.

    Raises:
        InvalidRequest: no address is left, or the file says that it is too large to be stored. A
            library would hold all of it in the memory that sessions share.
    """
    checked = {name: _checked(part) for name, part in message.items()}
    if not any("URL" in p or "directPath" in p for p in checked.values() if isinstance(p, dict)):
        raise InvalidRequest("The message names no file of WhatsApp")
    return checked


def _checked(part: object) -> object:
    if not isinstance(part, dict):
        return part
    if str(length := part.get("fileLength", 0)).isdecimal() and int(length) > _MAX_BYTES:
        raise InvalidRequest("The file is larger than the gateway stores")
    safe = dict(part)
    if not _is_of_whatsapp(safe.get("URL")):
        safe.pop("URL", None)
    if not str(safe.get("directPath", "")).startswith("/"):
        safe.pop("directPath", None)  # "@host" or ".host" would name another server
    return safe


def _is_of_whatsapp(url: object) -> bool:
    try:
        address = urlsplit(str(url))
        host = address.hostname or ""
        is_plain = address.netloc == host  # without a login or a port
    except ValueError:
        return False
    return address.scheme == "https" and is_plain and f".{host}".endswith(f".{_HOST}")
