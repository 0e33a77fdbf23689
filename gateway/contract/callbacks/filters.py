"""The filters of Z-API that hold back a callback."""

from collections.abc import Mapping
from typing import Final

import orjson

_OF_TYPE: Final[Mapping[str, str]] = {
    "ReceivedCallback": "FILTER_RECEIVED_CALLBACK",
    "DeliveryCallback": "FILTER_DELIVERY_CALLBACK",
    "ConnectedCallback": "FILTER_CONNECTED_CALLBACK",
    "DisconnectedCallback": "FILTER_DISCONNECTED_CALLBACK",
    "PresenceChatCallback": "FILTER_PRESENCE_CHAT_CALLBACK",
    "MessageStatusCallback": "FILTER_MESSAGE_STATUS_CALLBACK",
}
_OF_CONTENT: Final[Mapping[str, str]] = {
    "text": "FILTER_TEXT_MESSAGE",
    "image": "FILTER_IMAGE_MESSAGE",
    "video": "FILTER_VIDEO_MESSAGE",
    "audio": "FILTER_AUDIO_MESSAGE",
    "document": "FILTER_DOCUMENT_MESSAGE",
}


def filter_names(kind: str, body: str | None) -> frozenset[str]:
    """Returns every filter that a callback falls under.

    Args:
        kind: its type.
        body: as JSON; None if it cannot be read, which leaves the filter of its type.
    """
    names = {_OF_TYPE[kind]} if kind in _OF_TYPE else set()
    if kind != "ReceivedCallback" or body is None:
        return frozenset(names)
    message = orjson.loads(body)
    if message.get("isGroup"):
        names.add("FILTER_FROM_GROUP")
    elif not message.get("isNewsletter") and not message.get("broadcast"):
        names.add("FILTER_FROM_PRIVATE_CHAT")
    names |= {name for content, name in _OF_CONTENT.items() if content in message}
    return frozenset(names)
