"""The kinds of callbacks in words, and what an answer of a receiver means."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from gateway.contract.extensions.replay import CallbackType
from gateway.contract.zapi.webhooks import (
    SetChatPresenceWebhook,
    SetConnectedWebhook,
    SetDeliveryWebhook,
    SetDisconnectedWebhook,
    SetHistorySyncWebhook,
    SetMessageStatusWebhook,
    SetProxyWebhook,
    SetReceivedWebhook,
    SetWebhook,
)
from gateway.panel.languages import N_

OWN: Final = UUID(int=0)
"""Stands for the webhooks of Z-API's routes, one for each kind of callback."""
_CLIENT_ERRORS: Final = range(400, 500)
_SERVER_ERRORS: Final = range(500, 600)


@dataclass(frozen=True, slots=True)
class WebhookKind:
    """A kind of callback: `title` and `text` are English msgids, `column` is the instance's."""

    name: CallbackType
    title: str
    text: str
    column: str
    operation: type[SetWebhook]


KINDS: Final[Sequence[WebhookKind]] = (
    WebhookKind(
        "ReceivedCallback",
        N_("Received messages"),
        N_("A person writes to this number."),
        "received_callback_url",
        SetReceivedWebhook,
    ),
    WebhookKind(
        "DeliveryCallback",
        N_("Sent messages"),
        N_("WhatsApp took a message, or it could not be sent."),
        "delivery_callback_url",
        SetDeliveryWebhook,
    ),
    WebhookKind(
        "MessageStatusCallback",
        N_("Receipts"),
        N_("A message arrived, was read or was played."),
        "message_status_callback_url",
        SetMessageStatusWebhook,
    ),
    WebhookKind(
        "ConnectedCallback",
        N_("Phone connected"),
        N_("The phone is linked and connected."),
        "connected_callback_url",
        SetConnectedWebhook,
    ),
    WebhookKind(
        "DisconnectedCallback",
        N_("Phone disconnected"),
        N_("The connection to WhatsApp is gone."),
        "disconnected_callback_url",
        SetDisconnectedWebhook,
    ),
    WebhookKind(
        "PresenceChatCallback",
        N_("Typing and online"),
        N_("A person types, records or is online. These are many."),
        "presence_chat_callback_url",
        SetChatPresenceWebhook,
    ),
    WebhookKind(
        "HistorySyncCallback",
        N_("Older messages"),
        N_("What a phone hands over when it is linked. Set it before you link the phone."),
        "history_sync_url",
        SetHistorySyncWebhook,
    ),
    WebhookKind(
        "ProxyFailureCallback",
        N_("Proxy fails"),
        N_("The number cannot connect through its proxy."),
        "proxy_url",
        SetProxyWebhook,
    ),
)
TITLES: Final[Mapping[str, str]] = {kind.name: kind.title for kind in KINDS}

MESSAGE_FILTERS: Final[Mapping[str, str]] = {
    "FILTER_FROM_GROUP": N_("Messages in groups"),
    "FILTER_FROM_PRIVATE_CHAT": N_("Messages in private chats"),
    "FILTER_TEXT_MESSAGE": N_("Texts"),
    "FILTER_IMAGE_MESSAGE": N_("Pictures"),
    "FILTER_VIDEO_MESSAGE": N_("Videos"),
    "FILTER_AUDIO_MESSAGE": N_("Audio"),
    "FILTER_DOCUMENT_MESSAGE": N_("Documents"),
}

_ANSWERS: Final[Mapping[int, str]] = {
    401: N_("Your server asks for a password that the gateway does not send."),
    403: N_("Your server refuses the gateway. Look at its firewall and its password."),
    404: N_("Your server has no page at this address. Check the address."),
    405: N_("Your server does not take POST at this address."),
    410: N_("Your server says that this address is gone for good."),
    413: N_("Your server does not take bodies of this size."),
    429: N_("Your server asks for a pause."),
}


def advice(status: int | None, error: str | None) -> str:
    """Returns what to do about a failed attempt, as a msgid; empty where there is nothing to say.

    Args:
        status: the HTTP status; None where there was no answer.
        error: why the attempt failed; None where it did not.
    """
    if error is None:
        return ""
    if status is None:
        status = _status_in(error)
    if status is None:
        return N_("Your server did not answer. Check that it runs and can be reached from here.")
    if found := _ANSWERS.get(status):
        return found
    if status in _SERVER_ERRORS:
        return N_("Your program failed. Look at its log.")
    if status in _CLIENT_ERRORS:
        return N_("Your server refuses what it gets. Look at its answer.")
    return N_("Only answers from 200 to 299 count as taken. The gateway follows no redirect.")


def _status_in(error: str) -> int | None:
    digits = error.removeprefix("HTTP ")
    return int(digits) if error.startswith("HTTP ") and digits.isdecimal() else None
