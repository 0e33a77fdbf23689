"""Renders the callbacks that the queue writes, as JSON."""

from datetime import datetime
from typing import Protocol

from gateway.clock import epoch_ms
from gateway.contract.callbacks import (
    DeliveryCallback,
    HeldKind,
    MessageStatusCallback,
    QueueHeldCallback,
)
from gateway.contract.callbacks.sent import sent_callback_body
from gateway.contract.catalogue import catalogue
from gateway.contract.echo import EchoContext
from gateway.contract.spellings import is_group
from gateway.observability.error_reports import report_error
from gateway.send_queue.claim_cursor import ClaimedMessage
from gateway.send_queue.outcome import Sent


class _Identified(Protocol):
    """A queued message with what a DeliveryCallback names."""

    @property
    def instance_id(self) -> str: ...

    @property
    def phone(self) -> str: ...

    @property
    def zaap_id(self) -> str: ...

    @property
    def message_id(self) -> str: ...

    @property
    def track_id(self) -> str | None: ...


def delivery_body(message: _Identified, *, at_ms: int, error: str | None = None) -> str:
    """Returns a DeliveryCallback: the message was sent, or it failed with *error*."""
    return DeliveryCallback(
        instance_id=message.instance_id,
        momment=at_ms,
        phone=message.phone,
        zaap_id=message.zaap_id,
        message_id=message.message_id,
        track_id=message.track_id,
        error=error,
    ).body()


def sent_status_body(message: _Identified, *, at_ms: int) -> str:
    """Returns a MessageStatusCallback: WhatsApp accepted the message."""
    return MessageStatusCallback(
        instance_id=message.instance_id,
        status="SENT",
        ids=(message.message_id,),
        message_id=message.message_id,
        track_id=message.track_id,
        momment=at_ms,
        phone=message.phone,
        is_group=is_group(message.phone),
    ).body()


def hold_body(instance_id: str, kind: HeldKind, reason: str, *, until: datetime, at_ms: int) -> str:
    """Returns a QueueHeldCallback: the queue, or a part of it, waits until a time."""
    return QueueHeldCallback(
        instance_id=instance_id,
        momment=at_ms,
        reason=reason,
        kind=kind,
        until=epoch_ms(until),
    ).body()


def echo_body(row: ClaimedMessage, sent: Sent, *, at_ms: int) -> str | None:
    """Returns the sent message as a ReceivedCallback (`notifySentByMe`).

    `record_sent` adds the fields that only the database knows. None if the message has nothing to
    show, or if an error keeps it from being rendered: the message was sent, so the outcome must be
    recorded even without its echo.
    """
    try:
        message = catalogue().sends[row.type].model_validate(row.payload)
        context = EchoContext(row.message_id, at_ms, sent.referred, sent.files, sent.link_to)
        return sent_callback_body(message, context, instance_id=row.instance_id)
    except Exception as error:  # noqa: BLE001 - any error here must not keep the outcome back
        report_error(
            error, component="recorder", instance_id=row.instance_id, message_type=row.type
        )
        return None
