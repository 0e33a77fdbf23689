"""The bodies posted to callers' webhooks. A key without a value is left out, never null."""

from collections.abc import Mapping
from typing import Any, Literal

import orjson

from gateway.contract.wire import Wire

CONNECTION_CHAT = "connection"
"""Events of the connection have an order of their own, beside those of the chats."""

MessageStatus = Literal["SENT", "RECEIVED", "READ", "READ_BY_ME", "PLAYED"]


class Callback(Wire):
    """What every callback carries; `momment` (sic) is in milliseconds."""

    instance_id: str
    momment: int

    def body(self) -> str:
        return self.model_dump_json(by_alias=True, exclude_none=True)


class DeliveryCallback(Callback):
    """A message left the queue: for WhatsApp, or, with `error`, for good."""

    type: Literal["DeliveryCallback"] = "DeliveryCallback"
    phone: str
    zaap_id: str
    message_id: str
    error: str | None = None


class QueueHeldCallback(Callback):
    """The line waits until a time, in milliseconds; posted where deliveries are told.

    `restricted`: WhatsApp limits the number. `daily_limit`: the messages of the day are sent.
    """

    type: Literal["QueueHeldCallback"] = "QueueHeldCallback"
    kind: Literal["restricted", "daily_limit"]
    reason: str
    until: int


class MessageStatusCallback(Callback):
    """Messages reached a further state."""

    type: Literal["MessageStatusCallback"] = "MessageStatusCallback"
    status: MessageStatus
    ids: tuple[str, ...]
    message_id: str
    phone: str
    phone_device: int = 0
    is_group: bool


class ConnectedCallback(Callback):
    """The instance is linked and WhatsApp answers."""

    type: Literal["ConnectedCallback"] = "ConnectedCallback"
    connected: bool = True
    phone: str | None = None


class DisconnectedCallback(Callback):
    """The instance lost WhatsApp; `error` says why."""

    type: Literal["DisconnectedCallback"] = "DisconnectedCallback"
    disconnected: bool = True
    error: str
    phone: str | None = None


class ReceivedCallback(Callback):
    """Somebody wrote; the key beside these fields (`text`, ...) names what."""

    type: Literal["ReceivedCallback"] = "ReceivedCallback"
    message_id: str
    phone: str
    connected_phone: str | None = None
    chat_lid: str | None = None
    sender_lid: str | None = None
    participant_phone: str | None = None
    participant_lid: str | None = None
    chat_name: str | None = None
    sender_name: str | None = None
    reference_message_id: str | None = None
    status: str = "RECEIVED"
    from_me: bool
    from_api: bool = False
    is_group: bool
    is_newsletter: bool = False
    is_status_reply: bool = False
    is_edit: bool = False
    waiting_message: bool = False
    broadcast: bool = False

    def body_with(self, content: Mapping[str, Any]) -> str:
        """The body together with its content, such as `{"text": {"message": "hi"}}`."""
        envelope = self.model_dump(by_alias=True, exclude_none=True)
        return orjson.dumps({**envelope, **content}).decode()
