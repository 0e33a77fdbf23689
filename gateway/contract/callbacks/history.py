"""The messages that a phone hands over when it is linked, as pages of bounded size."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import orjson

from gateway.contract.callbacks.base import Callback, Example
from gateway.contract.callbacks.messages import TextReceived

_MAX_MESSAGES = 50
_MAX_BYTES = 256 * 1024
_INSTANCE = "6C1D7A35F0B24E89A1C3D5E7F9B0A2C4"
_MESSAGE = next(iter(TextReceived.examples().values()))


class HistorySyncCallback(Callback):
    """Messages of one chat from before the phone was linked: at most 50 and, as JSON, 256 KiB.

    Each has the form of a ReceivedCallback, without files. In a group they are of one participant,
    so that erasing a person finds them. A message that is larger has a page for itself.

    Unconfirmed: Ze da API's own form of this callback is not known.
    """

    type: Literal["HistorySyncCallback"] = "HistorySyncCallback"
    event: Literal["history-sync"] = "history-sync"
    momment: int
    phone: str
    is_group: bool
    participant_phone: str | None = None
    participant_lid: str | None = None
    messages: tuple[dict[str, Any], ...]

    example: ClassVar[Example] = {
        "type": "HistorySyncCallback",
        "event": "history-sync",
        "instanceId": _INSTANCE,
        "momment": 1769860800000,
        "phone": _MESSAGE["phone"],
        "isGroup": False,
        "messages": [_MESSAGE],
    }


def history_pages(
    instance_id: str, at_ms: int, messages: Sequence[str]
) -> Iterator[HistorySyncCallback]:
    """Yields the pages of messages that a phone handed over.

    Args:
        instance_id: whose messages they are.
        at_ms: when the phone handed them over, in milliseconds.
        messages: each a ReceivedCallback as JSON; those of one chat oldest first.
    """
    by_sender = defaultdict[tuple[str, str | None, str | None], list[str]](list)
    for message in messages:
        read = orjson.loads(message)
        participant = read.get("participantPhone"), read.get("participantLid")
        by_sender[read["phone"], *participant].append(message)
    for (phone, participant_phone, participant_lid), sent in by_sender.items():
        for page in _pages(sent):
            read = tuple(orjson.loads(message) for message in page)
            yield HistorySyncCallback(
                instance_id=instance_id,
                momment=at_ms,
                phone=phone,
                is_group=read[0]["isGroup"],
                participant_phone=participant_phone,
                participant_lid=participant_lid,
                messages=read,
            )


def _pages(messages: Sequence[str]) -> Iterator[list[str]]:
    page, size_bytes = list[str](), 0
    for message in messages:
        length = len(message.encode())
        if page and (len(page) == _MAX_MESSAGES or size_bytes + length > _MAX_BYTES):
            yield page
            page, size_bytes = [], 0
        page.append(message)
        size_bytes += length
    if page:
        yield page
