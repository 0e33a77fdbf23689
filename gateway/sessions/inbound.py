"""Writes down what a session tells, and what callers are told of it, before it is acknowledged."""

import copy
from collections.abc import Mapping
from typing import Any, Final, assert_never

from gateway.clock import Clock
from gateway.contract.callbacks import (
    CONNECTION_CHAT,
    Callback,
    ConnectedCallback,
    DisconnectedCallback,
    MessageStatus,
    MessageStatusCallback,
    ReceivedCallback,
)
from gateway.contract.wire import is_group
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import ProviderError, Unavailable
from gateway.history.store import Acknowledged, History
from gateway.instances.store import Instance
from gateway.media.receiving import Receiver
from gateway.media.spooling import BadFile
from gateway.observability.logging import logger
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import (
    Acknowledgement,
    ConnectionChanged,
    Event,
    MessageAcknowledged,
    MessageReceived,
)
from gateway.webhooks.outbox import Outbox

_NOTE_CONNECTION = query("sessions", "note_connection")

_WAIT_FOR_RECORD_SECONDS = 10.0
_ROUND_SECONDS = 0.05
_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS = 0.5
_STATUS: Final[dict[Acknowledgement, MessageStatus]] = {
    "delivered": "RECEIVED",
    "read": "READ",
    "played": "PLAYED",
}


class Inbound:
    """Every event ends in the database, or is told again."""

    def __init__(
        self,
        database: Database,
        history: History,
        outbox: Outbox,
        receiver: Receiver,
        clock: Clock,
    ) -> None:
        self._database, self._history, self._outbox = database, history, outbox
        self._receiver, self._clock = receiver, clock

    async def take(
        self, instance: Instance, epoch: int, event: Event, *, own_phone: str | None
    ) -> None:
        """Returns once the event is committed, however long the database is away."""
        while True:
            try:
                await self._write(instance, epoch, event, own_phone)
            except Unavailable as error:
                logger.warning("event_delayed", instance_id=instance.id, error=str(error))
                await self._clock.sleep(_PAUSE_WHILE_DATABASE_IS_AWAY_SECONDS)
            else:
                return

    async def _write(
        self, instance: Instance, epoch: int, event: Event, own_phone: str | None
    ) -> None:
        match event:
            case ConnectionChanged():
                await self._note_connection(instance, epoch, event, own_phone)
            case MessageReceived():
                await self._receive(instance, event, own_phone)
            case MessageAcknowledged():
                await self._acknowledge(instance, event)
            case _:
                assert_never(event)

    async def _note_connection(
        self, instance: Instance, epoch: int, event: ConnectionChanged, own_phone: str | None
    ) -> None:
        callback: Callback
        if event.state is ConnectionState.CONNECTED:
            kind = "ConnectedCallback"
            callback = ConnectedCallback(
                instance_id=instance.id, momment=_ms(event), phone=event.phone or own_phone
            )
        else:
            kind = "DisconnectedCallback"
            callback = DisconnectedCallback(
                instance_id=instance.id,
                momment=_ms(event),
                error=event.reason or event.state.sentence,
                phone=event.phone or own_phone,
            )
        await self._database.execute(
            _NOTE_CONNECTION,
            instance_id=instance.id,
            epoch=epoch,
            state=event.state.value,
            phone=event.phone,
            reason=event.reason,
            at=event.at,
            chat=CONNECTION_CHAT,
            type=kind,
            callback_id=self._outbox.new_id(),
            callback=callback.body(),
        )
        self._outbox.told()

    async def _receive(
        self, instance: Instance, event: MessageReceived, own_phone: str | None
    ) -> None:
        content = await self._with_links(instance, event)
        in_group = is_group(event.chat)
        callback = ReceivedCallback(
            instance_id=instance.id,
            momment=_ms(event),
            message_id=event.provider_message_id,
            phone=event.chat,
            connected_phone=own_phone,
            chat_lid=event.chat_lid,
            sender_lid=event.sender_lid,
            participant_phone=event.sender if in_group else None,
            participant_lid=event.sender_lid if in_group else None,
            chat_name=None if in_group else event.sender_name,
            sender_name=event.sender_name,
            reference_message_id=event.quoted_provider_id,
            from_me=event.from_me,
            is_group=in_group,
            is_newsletter=event.chat.endswith("@newsletter"),
            is_edit=event.is_edit,
        )
        await self._history.add_received(
            instance.id,
            message_id=event.provider_message_id,
            chat=event.chat,
            sender=event.sender,
            sender_name=event.sender_name,
            from_me=event.from_me,
            at=event.at,
            kind=event.kind,
            payload=content,
            provider_data=event.provider_data,
            callback_id=self._outbox.new_id(),
            # What the owner wrote on the phone is told only to those who asked for it.
            callback=None
            if event.from_me and not instance.notify_sent_by_me
            else callback.body_with(content),
        )
        self._outbox.told()

    async def _with_links(self, instance: Instance, event: MessageReceived) -> Mapping[str, Any]:
        """The content, with links to the files that came with it."""
        if not event.files:
            return event.content
        content = copy.deepcopy(dict(event.content))
        for file in event.files:
            *above, name = file.link_at
            place = content
            for step in above:
                place = place.setdefault(step, {})
            try:
                kept = await self._receiver.keep(instance.id, file.source, file_name=file.file_name)
            except (BadFile, ProviderError) as error:
                place["downloadError"] = str(error)
            else:
                place[name] = kept.link
                place.setdefault("mimeType", kept.mime_type)
        return content

    async def _acknowledge(self, instance: Instance, event: MessageAcknowledged) -> None:
        """A receipt may overtake the record of its message: wait for that, within bounds."""
        give_up_at = self._clock.monotonic_seconds() + _WAIT_FOR_RECORD_SECONDS
        while True:
            known = await self._history.acknowledge(
                instance.id,
                event.provider_message_ids,
                status=event.status,
                at=event.at,
                callback_id=self._outbox.new_id(),
                callback_for=lambda acknowledged: _status_callback(instance, event, acknowledged),
            )
            if known:
                self._outbox.told()
                return
            if self._clock.monotonic_seconds() > give_up_at or not await self._history.on_their_way(
                instance.id, event.provider_message_ids
            ):
                return
            await self._clock.sleep(_ROUND_SECONDS)


def _status_callback(
    instance: Instance, event: MessageAcknowledged, messages: list[Acknowledged]
) -> tuple[str, str]:
    """The chat and the body that tell of messages of one chat."""
    chat = messages[0].phone
    callback = MessageStatusCallback(
        instance_id=instance.id,
        momment=_ms(event),
        status=_STATUS[event.status],
        ids=tuple(message.message_id for message in messages),
        message_id=messages[0].message_id,
        phone=chat,
        is_group=is_group(chat),
    )
    return chat, callback.body()


def _ms(event: Event) -> int:
    return int(event.at.timestamp() * 1000)
