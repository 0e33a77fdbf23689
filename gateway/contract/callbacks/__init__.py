"""The bodies posted to callers' webhooks. A key without a value is left out, never null."""

from gateway.contract.callbacks.base import CONNECTION_CHAT, Callback, without_nulls
from gateway.contract.callbacks.commerce import ProductReceived
from gateway.contract.callbacks.events import EventReceived, EventResponseReceived
from gateway.contract.callbacks.history import HistorySyncCallback, history_pages
from gateway.contract.callbacks.interactive import TemplateReceived
from gateway.contract.callbacks.messages import TextReceived
from gateway.contract.callbacks.notifications import NotificationCode, NotificationReceived
from gateway.contract.callbacks.received import (
    WAITING,
    MessageCallback,
    ReceivedCallback,
    ReceivedStatus,
    received_kinds,
)
from gateway.contract.callbacks.states import (
    ConnectedCallback,
    ConnectionRefusedCallback,
    DeliveryCallback,
    DisconnectedCallback,
    HeldKind,
    MessageStatus,
    MessageStatusCallback,
    Presence,
    PresenceChatCallback,
    ProxyFailureCallback,
    QueueHeldCallback,
    ReceiptMissingCallback,
)

__all__ = [
    "CONNECTION_CHAT",
    "WAITING",
    "Callback",
    "ConnectedCallback",
    "ConnectionRefusedCallback",
    "DeliveryCallback",
    "DisconnectedCallback",
    "EventReceived",
    "EventResponseReceived",
    "HeldKind",
    "HistorySyncCallback",
    "MessageCallback",
    "MessageStatus",
    "MessageStatusCallback",
    "NotificationCode",
    "NotificationReceived",
    "Presence",
    "PresenceChatCallback",
    "ProductReceived",
    "ProxyFailureCallback",
    "QueueHeldCallback",
    "ReceiptMissingCallback",
    "ReceivedCallback",
    "ReceivedStatus",
    "TemplateReceived",
    "TextReceived",
    "history_pages",
    "received_kinds",
    "without_nulls",
]
