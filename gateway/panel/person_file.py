"""The file with everything that is stored of a person, written while it is read."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import orjson

from gateway.contract.extensions.person_data import PersonData
from gateway.instances.store import Instance

_PARTS: Final = (
    "names",
    "contacts",
    "identities",
    "chats",
    "consents",
    "broadcast_lists",
    "queued",
)
_INDENTED: Final = orjson.OPT_INDENT_2
Read = Callable[[str | None], Awaitable[PersonData]]


def file_name(at: datetime) -> str:
    """Returns a name without the number: it shows in the downloads of a browser."""
    return f"person-data-{at:%Y-%m-%d-%H%M}.json"


async def person_file(
    first: PersonData, read: Read, *, instance: Instance, at: datetime
) -> AsyncIterator[bytes]:
    """Yields a JSON object: what is known of the person, then messages, then their files.

    The messages are never in memory as a whole; the descriptions of their files are.

    Args:
        first: the first page.
        read: returns the page of a cursor.
        instance: the number whose data it is.
        at: when the file is made.
    """
    head = {
        "phone": first.phone,
        "exportedAt": at.isoformat(),
        "number": {"id": instance.id, "name": instance.name},
        **{name: getattr(first, name) for name in _PARTS},
    }
    yield orjson.dumps(head, option=_INDENTED)[:-2] + b',\n  "messages": [\n'
    files: dict[str, dict[str, Any]] = {}
    page, separator = first, b""
    while True:
        if page.messages:
            yield separator + b",\n".join(map(orjson.dumps, page.messages))
            separator = b",\n"
        files |= {str(each["id"]): each for each in page.files}
        if not page.has_more:
            break
        page = await read(page.paging_state)
    found = b",\n".join(map(orjson.dumps, files.values()))
    yield b'\n  ],\n  "files": [\n' + found + b"\n  ]\n}\n"
