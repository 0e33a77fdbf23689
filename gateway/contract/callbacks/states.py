"""The states of messages, of the connection and of the contacts in a chat."""

from typing import ClassVar, Literal

from gateway.contract.callbacks.base import Callback, Example

MessageStatus = Literal["SENT", "RECEIVED", "READ", "READ_BY_ME", "PLAYED"]
HeldKind = Literal["restricted", "daily_limit", "first_contacts"]
Presence = Literal["UNAVAILABLE", "AVAILABLE", "COMPOSING", "RECORDING", "PAUSED"]

_INSTANCE = "6C1D7A35F0B24E89A1C3D5E7F9B0A2C4"
_MESSAGE = "3EB0577D10A2B4C6D8E9F1"
_PHONE = "5511999999999"
_AT = 1769860800000


class DeliveryCallback(Callback):
    """A message left the queue: it was sent, or, with `error`, it failed."""

    type: Literal["DeliveryCallback"] = "DeliveryCallback"
    phone: str
    zaap_id: str
    message_id: str
    track_id: str | None = None
    momment: int
    error: str | None = None

    example: ClassVar[Example] = {
        "type": "DeliveryCallback",
        "instanceId": _INSTANCE,
        "phone": _PHONE,
        "zaapId": "4A6F0B3D92C1E8577D10A2B4C6D8E9F1",
        "messageId": _MESSAGE,
        "momment": _AT,
    }


class QueueHeldCallback(Callback):
    """The queue waits until a time, in milliseconds; posted to the webhook of deliveries.

    `restricted`: WhatsApp limits the number. `daily_limit`: the messages of the day are sent.
    `first_contacts`: only messages to people without a conversation wait; replies go on.
    """

    type: Literal["QueueHeldCallback"] = "QueueHeldCallback"
    momment: int
    kind: HeldKind
    reason: str
    until: int

    example: ClassVar[Example] = {
        "type": "QueueHeldCallback",
        "instanceId": _INSTANCE,
        "momment": _AT,
        "kind": "restricted",
        "reason": "WhatsApp limits how many new people this number may write to",
        "until": _AT + 3_600_000,
    }


class MessageStatusCallback(Callback):
    """Messages reached a further state; in a group, one callback per participant.

    `SENT`: WhatsApp accepted a message of the queue, or one that the phone sent. All messages of
    one callback have the same `trackId`, or none.
    """

    type: Literal["MessageStatusCallback"] = "MessageStatusCallback"
    status: MessageStatus
    ids: tuple[str, ...]
    message_id: str
    track_id: str | None = None
    momment: int
    phone: str
    phone_device: int = 0
    is_group: bool
    chat_lid: str | None = None
    participant_phone: str | None = None
    participant_lid: str | None = None

    example: ClassVar[Example] = {
        "type": "MessageStatusCallback",
        "instanceId": _INSTANCE,
        "status": "READ",
        "ids": [_MESSAGE],
        "messageId": _MESSAGE,
        "momment": _AT,
        "phone": _PHONE,
        "phoneDevice": 0,
        "isGroup": False,
    }


class ConnectedCallback(Callback):
    """The instance is linked and WhatsApp answers."""

    type: Literal["ConnectedCallback"] = "ConnectedCallback"
    connected: bool = True
    momment: int
    phone: str | None = None

    example: ClassVar[Example] = {
        "type": "ConnectedCallback",
        "instanceId": _INSTANCE,
        "connected": True,
        "momment": _AT,
        "phone": _PHONE,
    }


class DisconnectedCallback(Callback):
    """The instance lost its connection to WhatsApp; `error` is the reason."""

    type: Literal["DisconnectedCallback"] = "DisconnectedCallback"
    disconnected: bool = True
    momment: int
    error: str
    phone: str | None = None

    example: ClassVar[Example] = {
        "type": "DisconnectedCallback",
        "instanceId": _INSTANCE,
        "disconnected": True,
        "momment": _AT,
        "error": "Device has been disconnected",
        "phone": _PHONE,
    }


class ReceiptMissingCallback(Callback):
    """WhatsApp accepted a message, and no receipt came within the minutes that the instance set.

    Posted to the webhook of message states, once, only to instances that ask for it. Nothing is
    sent again; a receipt that comes later has its own callback.
    """

    type: Literal["ReceiptMissingCallback"] = "ReceiptMissingCallback"
    phone: str
    message_id: str
    track_id: str | None = None
    momment: int
    accepted_at: int
    minutes: int

    example: ClassVar[Example] = {
        "type": "ReceiptMissingCallback",
        "instanceId": _INSTANCE,
        "phone": _PHONE,
        "messageId": _MESSAGE,
        "momment": _AT + 900_000,
        "acceptedAt": _AT,
        "minutes": 15,
    }


class ConnectionRefusedCallback(Callback):
    """WhatsApp refused the connection so often that the gateway tries once an hour from now on.

    Posted to the webhook of disconnections, only to instances that ask for it.
    """

    type: Literal["ConnectionRefusedCallback"] = "ConnectionRefusedCallback"
    momment: int
    provider: str
    error: str
    attempts: int

    example: ClassVar[Example] = {
        "type": "ConnectionRefusedCallback",
        "instanceId": _INSTANCE,
        "momment": _AT,
        "provider": "web-engine",
        "error": "WhatsApp no longer accepts this version of the client.",
        "attempts": 5,
    }


class ProxyFailureCallback(Callback):
    """The session cannot connect through its proxy; posted once until the reason changes.

    Unconfirmed: Z-API's own form of this callback is not known.
    """

    type: Literal["ProxyFailureCallback"] = "ProxyFailureCallback"
    momment: int
    error: str

    example: ClassVar[Example] = {
        "type": "ProxyFailureCallback",
        "instanceId": _INSTANCE,
        "momment": _AT,
        "error": "The proxy does not lead to web.whatsapp.com:443: check its address",
    }


class PresenceChatCallback(Callback):
    """A contact came, left or is typing; PAUSED follows COMPOSING and RECORDING."""

    type: Literal["PresenceChatCallback"] = "PresenceChatCallback"
    phone: str
    status: Presence
    last_seen: int | None = None
    chat_lid: str | None = None

    example: ClassVar[Example] = {
        "type": "PresenceChatCallback",
        "instanceId": _INSTANCE,
        "phone": _PHONE,
        "status": "COMPOSING",
    }
