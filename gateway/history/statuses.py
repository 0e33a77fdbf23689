"""Handles /messages-status, from the receipts in history."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from gateway.clock import epoch_ms
from gateway.contract.extensions.messages_status import (
    COUNTED_BEYOND_PAGE,
    MAX_EXAMINED,
    AggregatedStatus,
    MessageCounts,
    MessagesStatus,
    ParticipantStatus,
    RawStatus,
    ReadMessagesStatus,
    ReceiptState,
    StatusMeta,
)
from gateway.contract.handlers import Handlers
from gateway.contract.spellings import is_group
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.identities.people import names_of

_LIST_STATUSES = query("history", "list_statuses")
_LIST_RECEIPTS = query("history", "list_receipts")


@dataclass(frozen=True, slots=True)
class MessagesStatusContext:
    """What the handler works with."""

    database: Database
    instance_id: str


@dataclass(frozen=True, slots=True)
class _Times:
    """When a participant, or the first of several, reached each state."""

    delivered_at: datetime | None
    read_at: datetime | None
    played_at: datetime | None

    def reached(self) -> Iterator[tuple[ReceiptState, datetime]]:
        """Yields the states from the first to the last."""
        if self.delivered_at:
            yield "delivered", self.delivered_at
        if self.read_at:
            yield "read", self.read_at
        if self.played_at:
            yield "played", self.played_at


@dataclass(frozen=True, slots=True)
class _Message(_Times):
    message_id: str
    phone: str
    sent_at: datetime
    lid: str | None


@dataclass(frozen=True, slots=True)
class _Row(_Times):
    """A message, if the page has one, and how many messages there are in all."""

    total: int
    message_id: str | None
    phone: str | None
    sent_at: datetime | None
    lid: str | None

    def messages(self) -> Iterator[_Message]:
        if self.message_id is not None and self.phone is not None and self.sent_at is not None:
            yield _Message(
                self.delivered_at,
                self.read_at,
                self.played_at,
                self.message_id,
                self.phone,
                self.sent_at,
                self.lid,
            )


@dataclass(frozen=True, slots=True)
class _Receipt(_Times):
    message_id: str
    participant: str
    lid: str | None


_Receipts = Mapping[str, Sequence[_Receipt]]

handlers = Handlers[MessagesStatusContext]()


@handlers.handles(ReadMessagesStatus)
async def read_messages_status(
    context: MessagesStatusContext, operation: ReadMessagesStatus
) -> MessagesStatus:
    chats = [
        (await names_of(context.database, context.instance_id, chat)).every
        for chat in (operation.group_id, operation.phone)
        if chat
    ]
    # Planned for these parameters, a chat of many messages would be read to its end.
    found = await context.database.planned_once().fetch_all(
        _Row,
        _LIST_STATUSES,
        instance_id=context.instance_id,
        message_id=operation.message_id,
        phones=sorted({name for names in chats for name in names}),
        max_examined=MAX_EXAMINED,
        max_counted=operation.offset + operation.limit + COUNTED_BEYOND_PAGE,
        max_count=operation.limit,
        skipped=operation.offset,
    )
    messages = [message for row in found for message in row.messages()]
    rows = await context.database.fetch_all(
        _Receipt,
        _LIST_RECEIPTS,
        instance_id=context.instance_id,
        message_ids=[m.message_id for m in messages if is_group(m.phone)],
    )
    receipts = {key: list(of_one) for key, of_one in groupby(rows, key=lambda r: r.message_id)}
    meta = StatusMeta(total=found[0].total, limit=operation.limit, offset=operation.offset)
    if operation.format == "raw":
        raw = (item for m in messages for item in _raw(context, m, receipts))
        return MessagesStatus(data=tuple(raw), meta=meta)
    return MessagesStatus(
        data=tuple(
            _aggregated(context, m, receipts, with_participants=operation.include_participants)
            for m in messages
        ),
        meta=meta,
    )


def _times_by_person(
    message: _Message, receipts: _Receipts
) -> list[tuple[str, str | None, _Times]]:
    """Returns who reached which states: each participant of a group, or the one recipient."""
    if is_group(message.phone):
        return [(r.participant, r.lid, r) for r in receipts.get(message.message_id, ())]
    return [(message.phone, message.lid, message)]


def _aggregated(
    context: MessagesStatusContext,
    message: _Message,
    receipts: _Receipts,
    *,
    with_participants: bool,
) -> AggregatedStatus:
    people = _times_by_person(message, receipts)
    states = [dict(times.reached()) for _, _, times in people]
    latest = [max(reached.values(), default=message.sent_at) for reached in states]
    in_group = is_group(message.phone)
    return AggregatedStatus(
        message_id=message.message_id,
        instance_id=context.instance_id,
        group_id=message.phone.removesuffix("-group") if in_group else None,
        phone=message.phone,
        is_group=in_group,
        total_participants=len(people),
        status=MessageCounts(
            sent=len(people),
            delivered=sum("delivered" in reached for reached in states),
            read=sum("read" in reached for reached in states),
            played=sum("played" in reached for reached in states),
        ),
        participants=tuple(_participant(message, who, times) for who, _, times in people)
        if with_participants
        else None,
        created_at=epoch_ms(message.sent_at),
        updated_at=epoch_ms(max(latest, default=message.sent_at)),
    )


def _participant(message: _Message, who: str, times: _Times) -> ParticipantStatus:
    *_, (status, at) = (("sent", message.sent_at), *times.reached())
    return ParticipantStatus(phone=who, status=status, timestamp=epoch_ms(at))


def _raw(
    context: MessagesStatusContext, message: _Message, receipts: _Receipts
) -> Iterator[RawStatus]:
    in_group = is_group(message.phone)
    for who, lid, times in _times_by_person(message, receipts):
        for status, at in times.reached():
            ids = {"participantPhone": who, "participantLid": lid} if in_group else {"chatLid": lid}
            payload = {
                "type": "MessageStatusCallback",
                "instanceId": context.instance_id,
                "status": status,
                "ids": [message.message_id],
                "momment": epoch_ms(at),
                "phone": message.phone,
                "isGroup": in_group,
                "fromMe": True,
                "senderDevice": 0,
                **{name: value for name, value in ids.items() if value},
            }
            yield RawStatus(
                message_id=message.message_id,
                instance_id=context.instance_id,
                payload=payload,
                cached_at=epoch_ms(at),
            )
