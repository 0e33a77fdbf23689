"""The state of the simulated WhatsApp in Postgres, one statement for each step."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.providers.sandbox.faults import Fault
from gateway.providers.sandbox.pairing import phone_number
from gateway.providers.sandbox.stored_events import Body
from gateway.randomness import RandomBytes
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ProviderStore

_SECRET_BYTES = 32
_RETENTION_DAYS = 30
_MAX_DELETED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Phone:
    """The phone at the opening of a session."""

    phone: str
    state: ConnectionState
    version: int
    secret: str


@dataclass(frozen=True, slots=True)
class PhoneState:
    """The current number and state of a phone."""

    phone: str
    state: ConnectionState


@dataclass(frozen=True, slots=True)
class AcceptResult:
    """The result of handing a message over.

    *accepted* is True if it is in the journal; *refusal* is why its group does not accept it.
    """

    state: ConnectionState
    outdated: bool
    fault: Fault | None
    accepted: bool
    refusal: str | None


@dataclass(frozen=True, slots=True)
class PlannedReceipt:
    """A status that the message will reach, so long after its acceptance."""

    status: str
    after_seconds: float


@dataclass(frozen=True, slots=True)
class PlannedAnswer:
    """The answer of a person, so long after the acceptance of the message."""

    body: Body
    after_seconds: float


@dataclass(frozen=True, slots=True)
class MessageMarks:
    """What a message does to an earlier one; see `sandbox.merge_marks_v1`."""

    message_id: str
    marks: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Consequences:
    """The receipts, answer and marks that follow from a message once it is accepted."""

    receipts: Sequence[PlannedReceipt] = ()
    answer: PlannedAnswer | None = None
    change: MessageMarks | None = None


@dataclass(frozen=True, slots=True)
class DueEvent:
    """An event that is due."""

    instance_id: str
    id: int
    due_at: datetime
    body: Body


class World:
    """Changes phones, messages and events; every method may raise DatabaseUnavailable.

    The clock of the database decides when an event is due, since the clocks of nodes differ.
    """

    def __init__(self, store: ProviderStore, random_bytes: RandomBytes) -> None:
        self._store, self._random_bytes = store, random_bytes

    async def open_phone(
        self, instance_id: str, *, epoch: int, holder: str, paired: bool
    ) -> Phone | None:
        """Opens the phone and creates it the first time; None if another lease is newer."""
        state = ConnectionState.CONNECTED if paired else ConnectionState.UNPAIRED
        rows = await self._store.fetch(
            "open_phone",
            instance_id=instance_id,
            phone=phone_number(instance_id),
            state=state.value,
            secret=self._random_bytes(_SECRET_BYTES).hex(),
            epoch=epoch,
            holder=holder,
        )
        if not rows:
            return None
        (row,) = rows
        return Phone(row["phone"], ConnectionState(row["state"]), row["version"], row["secret"])

    async def look(self, instance_id: str) -> PhoneState:
        (row,) = await self._store.fetch("find_phone", instance_id=instance_id)
        return PhoneState(row["phone"], ConnectionState(row["state"]))

    async def change_state(
        self, instance_id: str, state: ConnectionState, *, allowed: Collection[ConnectionState]
    ) -> bool:
        """Changes the phone and stores the event; False if its state is not *allowed*."""
        rows = await self._store.fetch(
            "change_phone",
            instance_id=instance_id,
            state=state.value,
            phone=None,
            allowed=[each.value for each in allowed],
        )
        return any(row["allowed"] for row in rows)

    async def accept(
        self,
        instance_id: str,
        *,
        epoch: int,
        message_id: str,
        kind: str,
        phone: str,
        payload: Mapping[str, Any],
        remote_message: Body,
        consequences: Consequences,
        with_faults: bool,
    ) -> AcceptResult | None:
        """Hands a message over; returns None if the phone does not exist.

        *remote_message* is the event for other instances that the message goes to.
        """
        receipts = consequences.receipts
        answer, change = consequences.answer, consequences.change
        rows = await self._store.fetch(
            "accept_message",
            instance_id=instance_id,
            epoch=epoch,
            message_id=message_id,
            type=kind,
            phone=phone,
            payload=json.dumps(payload),
            remote_message=json.dumps(remote_message),
            receipt_statuses=[receipt.status for receipt in receipts],
            receipt_seconds=[receipt.after_seconds for receipt in receipts],
            answer=json.dumps(answer.body) if answer else None,
            answer_seconds=answer.after_seconds if answer else None,
            marked_id=change.message_id if change else None,
            marks=json.dumps(change.marks) if change else None,
            with_faults=with_faults,
        )
        for row in rows:
            fault = Fault.model_validate(row["fault"]) if row["fault"] else None
            state = ConnectionState(row["state"])
            for reached in row["reached"]:
                await self._store.signal(reached)
            return AcceptResult(
                state,
                row["outdated"],
                fault,
                accepted=row["seen"] is not None,
                refusal=row["refusal"],
            )
        return None

    async def mark(self, instance_id: str, change: MessageMarks, *, epoch: int) -> bool:
        """Returns False if the phone is not connected."""
        rows = await self._store.fetch(
            "mark_message",
            instance_id=instance_id,
            epoch=epoch,
            message_id=change.message_id,
            marks=json.dumps(change.marks),
        )
        return bool(rows)

    async def show_typing(
        self, instance_id: str, *, epoch: int, phone: str, seconds: float
    ) -> bool:
        """Returns False if the phone is not connected."""
        rows = await self._store.fetch(
            "show_typing", instance_id=instance_id, epoch=epoch, phone=phone, seconds=seconds
        )
        return bool(rows)

    async def mark_read(self, writer: str, message_ids: Sequence[str]) -> None:
        """Emits read receipts to the instance of the number *writer*, if there is one."""
        for row in await self._store.fetch(
            "mark_read", writer=writer, message_ids=list(message_ids)
        ):
            await self._store.signal(row["instance_id"])

    async def enqueue_event(self, instance_id: str, body: Body) -> None:
        """Stores an event for an instance."""
        await self._store.fetch("receive_message", instance_id=instance_id, body=json.dumps(body))

    async def due(
        self,
        holder: str,
        *,
        in_flight: Collection[int],
        skipped: Collection[str],
        max_count: int,
    ) -> tuple[list[DueEvent], float | None]:
        """Returns the events that are due, and in how many seconds the next one will be."""
        events: list[DueEvent] = []
        next_seconds: float | None = None
        for row in await self._store.fetch(
            "due_events",
            holder=holder,
            in_flight=list(in_flight),
            skipped=list(skipped),
            max_count=max_count,
        ):
            if row["body"] is None:
                next_seconds = row["seconds"]
            else:
                events.append(DueEvent(row["instance_id"], row["id"], row["due_at"], row["body"]))
        return events, next_seconds

    async def delete_events(self, instance_id: str, event_ids: Collection[int]) -> None:
        await self._store.fetch("delete_events", instance_id=instance_id, ids=list(event_ids))

    async def delete_expired(self) -> None:
        """Deletes messages, marks and events that are past their retention."""
        for name in ("delete_expired_messages", "delete_expired_marks", "delete_expired_events"):
            while await self._store.fetch(
                name, days=_RETENTION_DAYS, max_count=_MAX_DELETED_AT_ONCE
            ):
                pass
