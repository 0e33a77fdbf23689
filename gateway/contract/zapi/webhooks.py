"""The webhook of each kind of callback; an empty value removes it."""

from typing import Annotated, ClassVar

from pydantic import Field

from gateway.contract.operation import AuditedState, Operation, RouteAddress, Value
from gateway.contract.urls import WRITTEN_URL

_MAX_ADDRESS_LENGTH = 2_048

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

    sets = ("received",)


class SetReceivedDeliveryWebhook(
    SetWebhook, method="PUT", path="/update-webhook-received-delivery"
):
    """Sets the webhook of received messages, and includes those the instance sends."""

    sets = ("received",)


class SetDeliveryWebhook(SetWebhook, method="PUT", path="/update-webhook-delivery"):
    """Sets the webhook of messages that left the queue."""

    sets = ("delivery",)


class SetMessageStatusWebhook(SetWebhook, method="PUT", path="/update-webhook-message-status"):
    """Sets the webhook of messages that were delivered, read or played."""

    sets = ("message_status",)


class SetConnectedWebhook(SetWebhook, method="PUT", path="/update-webhook-connected"):
    """Sets the webhook of connections of the instance."""

    sets = ("connected",)


class SetDisconnectedWebhook(SetWebhook, method="PUT", path="/update-webhook-disconnected"):
    """Sets the webhook of disconnections of the instance."""

    sets = ("disconnected",)


class SetChatPresenceWebhook(SetWebhook, method="PUT", path="/update-webhook-chat-presence"):
    """Sets the webhook of contacts that are typing or online."""

    sets = ("presence_chat",)


class SetEveryWebhook(SetWebhook, method="PUT", path="/update-every-webhooks"):
    """Sets one webhook for all callbacks."""

    sets = ("received", "delivery", "message_status", "connected", "disconnected", "presence_chat")
    notify_sent_by_me: bool | None = None


class SetNotifySentByMe(Operation[Value], method="PUT", path="/update-notify-sent-by-me"):
    """Whether messages that the instance sends come back as callbacks, too."""

    audited_state = AuditedState.INSTANCE
    example: ClassVar[dict[str, object]] = {"notifySentByMe": True}
    answer_example: ClassVar[dict[str, object]] = {"value": True}

    notify_sent_by_me: bool
