"""The webhook of each kind of callback; an empty value removes it."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from gateway.contract.operation import AuditedState, Operation, RouteAddress, Value
from gateway.contract.scopes import ApiScope
from gateway.contract.urls import WRITTEN_URL

_MAX_ADDRESS_LENGTH = 2_048

_FEW = Field(max_length=20)
WebhookAddress = Annotated[str, Field(max_length=_MAX_ADDRESS_LENGTH), WRITTEN_URL]


class SetWebhook(Operation[Value]):
    """Sets one address; `sets` names the columns it goes to."""

    audited_state = AuditedState.INSTANCE
    sets: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[dict[str, object]] = {"value": "https://example.com/webhook"}
    answer_example: ClassVar[dict[str, object]] = {"value": True}

    value: WebhookAddress


class SetReceivedWebhook(
    SetWebhook,
    method="PUT",
    path="/update-webhook-received",
    also=(RouteAddress("PUT", "/update-webhook-receive"),),
):
    """Sets the webhook of received messages."""

    scope = ApiScope.WEBHOOKS
    sets = ("received",)


class SetReceivedDeliveryWebhook(
    SetWebhook, method="PUT", path="/update-webhook-received-delivery"
):
    """Sets the webhook of received messages, and includes those the instance sends."""

    scope = ApiScope.WEBHOOKS
    sets = ("received",)


class SetDeliveryWebhook(SetWebhook, method="PUT", path="/update-webhook-delivery"):
    """Sets the webhook of messages that left the queue."""

    scope = ApiScope.WEBHOOKS
    sets = ("delivery",)


class SetMessageStatusWebhook(SetWebhook, method="PUT", path="/update-webhook-message-status"):
    """Sets the webhook of messages that were delivered, read or played."""

    scope = ApiScope.WEBHOOKS
    sets = ("message_status",)


class SetConnectedWebhook(SetWebhook, method="PUT", path="/update-webhook-connected"):
    """Sets the webhook of connections of the instance."""

    scope = ApiScope.WEBHOOKS
    sets = ("connected",)


class SetDisconnectedWebhook(SetWebhook, method="PUT", path="/update-webhook-disconnected"):
    """Sets the webhook of disconnections of the instance."""

    scope = ApiScope.WEBHOOKS
    sets = ("disconnected",)


class SetChatPresenceWebhook(SetWebhook, method="PUT", path="/update-webhook-chat-presence"):
    """Sets the webhook of contacts that are typing or online."""

    scope = ApiScope.WEBHOOKS
    sets = ("presence_chat",)


class SetHistorySyncWebhook(SetWebhook, method="PUT", path="/update-webhook-history-sync"):
    """Sets the webhook of the messages that a phone hands over when it is linked.

    They come as HistorySyncCallback: pages of at most 50 messages of one chat, in a group of one
    participant, oldest first, in the form of ReceivedCallback and without their files. A phone
    hands over recent messages of every chat first, then older ones, for some minutes. It may repeat
    what the gateway has. Pages are made only while this webhook is set; further webhooks and event
    streams get them too.
    """

    scope = ApiScope.WEBHOOKS
    unconfirmed = ("/update-webhook-history-sync",)
    sets = ("history_sync",)


class SetProxyWebhook(SetWebhook, method="PUT", path="/update-proxy-webhook"):
    """Sets the webhook of ProxyFailureCallback: the session cannot connect through its proxy."""

    scope = ApiScope.WEBHOOKS
    unconfirmed = ("/update-proxy-webhook",)
    sets = ("proxy",)


MessageFilter = Literal[
    "FILTER_FROM_GROUP",
    "FILTER_FROM_PRIVATE_CHAT",
    "FILTER_TEXT_MESSAGE",
    "FILTER_IMAGE_MESSAGE",
    "FILTER_VIDEO_MESSAGE",
    "FILTER_AUDIO_MESSAGE",
    "FILTER_DOCUMENT_MESSAGE",
]
CallbackTypeFilter = Literal[
    "FILTER_RECEIVED_CALLBACK",
    "FILTER_DELIVERY_CALLBACK",
    "FILTER_CONNECTED_CALLBACK",
    "FILTER_DISCONNECTED_CALLBACK",
    "FILTER_PRESENCE_CHAT_CALLBACK",
    "FILTER_MESSAGE_STATUS_CALLBACK",
]


class SetFilters(Operation[Value], method="PUT", path="/update-filters"):
    """Sets what the webhooks of Z-API's routes do not get.

    What a list names is not posted. A list that is left out stays as it is; an empty one lets all
    pass. `messageFilters` look at ReceivedCallback: where it is from, and what it contains. What
    waits to be posted is held back, too. Further webhooks (`/webhooks`) and event streams get
    everything. Unknown fields and names are refused.
    """

    scope = ApiScope.WEBHOOKS
    audited_state = AuditedState.INSTANCE
    refuses_unknown = True
    unconfirmed = ("/update-filters",)
    example: ClassVar[dict[str, object]] = {
        "messageFilters": ["FILTER_FROM_GROUP"],
        "callbackTypeFilters": ["FILTER_PRESENCE_CHAT_CALLBACK"],
    }
    example_minimal: ClassVar[dict[str, object]] = {"messageFilters": []}
    answer_example: ClassVar[dict[str, object]] = {"value": True}

    message_filters: Annotated[tuple[MessageFilter, ...], _FEW] | None = None
    callback_type_filters: Annotated[tuple[CallbackTypeFilter, ...], _FEW] | None = None


class SetEveryWebhook(SetWebhook, method="PUT", path="/update-every-webhooks"):
    """Sets one webhook for all callbacks, except those of the history and of proxies."""

    scope = ApiScope.WEBHOOKS
    sets = ("received", "delivery", "message_status", "connected", "disconnected", "presence_chat")
    notify_sent_by_me: bool | None = None


class SetNotifySentByMe(Operation[Value], method="PUT", path="/update-notify-sent-by-me"):
    """Whether messages that the instance sends come back as callbacks, too."""

    scope = ApiScope.WEBHOOKS
    audited_state = AuditedState.INSTANCE
    example: ClassVar[dict[str, object]] = {"notifySentByMe": True}
    answer_example: ClassVar[dict[str, object]] = {"value": True}

    notify_sent_by_me: bool
