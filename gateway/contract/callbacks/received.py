"""The envelope of received messages and notifications; other modules declare its contents.

A content is a class with one key of its own (`text`, `image`, ...). Its `variants` are examples
by name: together they are every payload callers may meet.
"""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal

import orjson

from gateway.contract.callbacks.base import Callback, Example, without_nulls
from gateway.contract.wire import Wire

ReceivedStatus = Literal["PENDING", "SENT", "RECEIVED", "READ", "PLAYED"]
WAITING = "waitingMessage"

FILE = "https://example.com/file"
GROUP = {
    "phone": "120363019502650977-group",
    "isGroup": True,
    "chatName": "Neighbours",
    "participantPhone": "5511988888888",
    "participantLid": "81896604192873@lid",
}
"""How the envelope of an example in a group differs."""

_ENVELOPE: Example = {
    "type": "ReceivedCallback",
    "instanceId": "6C1D7A35F0B24E89A1C3D5E7F9B0A2C4",
    "messageId": "3EB0577D10A2B4C6D8E9F1",
    "phone": "5511988888888",
    "chatLid": "81896604192873@lid",
    "senderLid": "81896604192873@lid",
    "connectedPhone": "5511999999999",
    "momment": 1769860800000,
    "status": "RECEIVED",
    "chatName": "Ana",
    "senderName": "Ana",
    "fromMe": False,
    "fromApi": False,
    "isGroup": False,
    "isNewsletter": False,
    "isStatusReply": False,
    "isEdit": False,
    "waitingMessage": False,
    "broadcast": False,
    "forwarded": False,
}


class ExternalAdReply(Wire):
    """The advertisement that led the contact to the chat."""

    title: str | None = None
    body: str | None = None
    media_type: int | None = None
    thumbnail_url: str | None = None
    source_type: str | None = None
    source_id: str | None = None
    ctwa_clid: str | None = None
    source_url: str | None = None
    contains_auto_reply: bool | None = None
    render_larger_thumbnail: bool | None = None
    show_ad_attribution: bool | None = None


class StatusImage(Wire):
    """The picture of the status that is answered; only here `mimetype` is in lower case."""

    image_url: str | None = None
    thumbnail_url: str | None = None
    caption: str | None = None
    mimetype: str | None = None
    view_once: bool | None = None
    width: int | None = None
    height: int | None = None


class ReceivedCallback(Callback):
    """A message or notification came in, or was sent by the instance.

    The key beside the common ones (`text`, `image`, `notification`, ...) names its kind.
    """

    type: Literal["ReceivedCallback"] = "ReceivedCallback"
    message_id: str | None = None
    phone: str
    chat_lid: str | None = None
    connected_phone: str | None = None
    momment: int
    status: ReceivedStatus = "RECEIVED"
    chat_name: str | None = None
    photo: str | None = None
    sender_name: str | None = None
    sender_lid: str | None = None
    sender_photo: str | None = None
    participant_phone: str | None = None
    participant_lid: str | None = None
    reference_message_id: str | None = None
    track_id: str | None = None
    edit_message_id: str | None = None
    message_expiration_seconds: int | None = None
    from_me: bool
    from_api: bool = False
    is_group: bool
    is_newsletter: bool = False
    is_status_reply: bool = False
    is_edit: bool = False
    waiting_message: bool = False
    broadcast: bool = False
    forwarded: bool = False
    external_ad_reply: ExternalAdReply | None = None
    status_image: StatusImage | None = None
    broadcast_recipients: tuple[str, ...] | None = None

    variants: ClassVar[Mapping[str, Example]] = {}

    @classmethod
    def examples(cls) -> Mapping[str, Example]:
        return {name: without_nulls({**_ENVELOPE, **own}) for name, own in cls.variants.items()}

    @classmethod
    def content_keys(cls) -> frozenset[str]:
        """The keys of this class beyond the envelope, and those that may come with any content."""
        names = cls.model_fields.keys() - (ReceivedCallback.model_fields.keys() - _BESIDE)
        return frozenset(cls.model_fields[name].alias or name for name in names)

    def body_with(self, content: Mapping[str, Any]) -> str:
        """The body together with its content, such as `{"text": {"message": "hi"}}`."""
        envelope = self.model_dump(by_alias=True, exclude_none=True)
        return orjson.dumps({**envelope, **without_nulls(content)}).decode()


_BESIDE = {"external_ad_reply", "status_image", "broadcast_recipients"}


class MessageCallback(ReceivedCallback):
    """A callback of a message, which has an id."""

    message_id: str


class ReferencedMessage(Wire):
    """The earlier message that a message refers to."""

    message_id: str
    from_me: bool | None = None
    phone: str | None = None
    participant: str | None = None


def received_kinds(family: type[ReceivedCallback] = ReceivedCallback) -> Iterator[type[Any]]:
    """Each class of content."""
    for kind in family.__subclasses__():
        if not kind.__subclasses__():
            yield kind
        yield from received_kinds(kind)
