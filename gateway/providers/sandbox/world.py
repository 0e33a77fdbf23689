"""The simulated WhatsApp: everything that outlives a session, one statement a step."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.providers.sandbox.faults import Fault
from gateway.providers.sandbox.pairing import phone_number
from gateway.providers.sandbox.telling import Body
from gateway.randomness import RandomBytes
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ProviderStore

_SECRET_BYTES = 32
_DAYS_KEPT = 30
_MAX_FORGOTTEN_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone as a session finds it at its opening."""

    phone: str
    state: ConnectionState
    version: int
    secret: str


@dataclass(frozen=True, slots=True)
class PhoneNow:
    """A phone as it is, whoever opened it and when."""

    phone: str
    state: ConnectionState


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a message.

    *accepted* says that it is in the journal, *refusal* why its group does not take it.
    """

    state: ConnectionState
    outdated: bool
    fault: Fault | None
    accepted: bool
    refusal: str | None


@dataclass(frozen=True, slots=True)
class PlannedReceipt:
    """A status the message will reach, counted from its acceptance."""

    status: str
    after_seconds: float


@dataclass(frozen=True, slots=True)
class PlannedAnswer:
    """What a person will write or tap, counted from the acceptance."""

    body: Body
    after_seconds: float


@dataclass(frozen=True, slots=True)
class Change:
    """What a message does to an earlier one; see `sandbox.merged`."""

    message_id: str
    marks: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Consequences:
    """What a message leads to, once it is accepted."""

    receipts: Sequence[PlannedReceipt] = ()
    answer: PlannedAnswer | None = None
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class DueEvent:
    """Something to tell now."""

    instance_id: str
    id: int
    due_at: datetime
    body: Body


class World:
    """Every method may raise DatabaseUnavailable.

    Only the database's clock says when an event is due: nodes need not agree on theirs.
    """

    def __init__(self, store: ProviderStore, random_bytes: RandomBytes) -> None:
        self._store, self._random_bytes = store, random_bytes

    async def take_seat(
        self, instance_id: str, *, epoch: int, holder: str, paired: bool
    ) -> Phone | None:
        """Opens the phone, made at the first time; None for whoever has an older lease."""
        state = ConnectionState.CONNECTED if paired else ConnectionState.UNPAIRED
        rows = await self._store.fetch(
            "take_seat",
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

    async def look(self, instance_id: str) -> PhoneNow:
        (row,) = await self._store.fetch("find_phone", instance_id=instance_id)
        return PhoneNow(row["phone"], ConnectionState(row["state"]))

    async def change_state(
        self, instance_id: str, state: ConnectionState, *, allowed: Collection[ConnectionState]
    ) -> bool:
        """Changes the phone, and keeps an event that tells it; False in a state not *allowed*."""
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
        arrival: Body,
        consequences: Consequences,
        with_faults: bool,
    ) -> Verdict | None:
        """Hands a message over; None where there is no such phone.

        *arrival* is what other instances get to read of it, if it goes to them.
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
            arrival=json.dumps(arrival),
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
            return Verdict(
                state,
                row["outdated"],
                fault,
                accepted=row["seen"] is not None,
                refusal=row["refusal"],
            )
        return None

    async def mark(self, instance_id: str, change: Change, *, epoch: int) -> bool:
        """False when the phone is out of reach."""
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
        """False when the phone is out of reach."""
        rows = await self._store.fetch(
            "show_typing", instance_id=instance_id, epoch=epoch, phone=phone, seconds=seconds
        )
        return bool(rows)

    async def mark_read(self, writer: str, message_ids: Sequence[str]) -> None:
        """Tells the instance of number *writer*, if there is one, that these were read."""
        for row in await self._store.fetch(
            "mark_read", writer=writer, message_ids=list(message_ids)
        ):
            await self._store.signal(row["instance_id"])

    async def hear_of(self, instance_id: str, body: Body) -> None:
        """Keeps something to be told to an instance."""
        await self._store.fetch("receive_message", instance_id=instance_id, body=json.dumps(body))

    async def due(
        self,
        holder: str,
        *,
        in_hand: Collection[int],
        passed_over: Collection[str],
        max_count: int,
    ) -> tuple[list[DueEvent], float | None]:
        """What is to be told now, and in how many seconds there will be more."""
        events: list[DueEvent] = []
        next_seconds: float | None = None
        for row in await self._store.fetch(
            "due_events",
            holder=holder,
            in_hand=list(in_hand),
            passed_over=list(passed_over),
            max_count=max_count,
        ):
            if row["body"] is None:
                next_seconds = row["seconds"]
            else:
                events.append(DueEvent(row["instance_id"], row["id"], row["due_at"], row["body"]))
        return events, next_seconds

    async def forget(self, instance_id: str, event_ids: Collection[int]) -> None:
        await self._store.fetch("forget_events", instance_id=instance_id, ids=list(event_ids))

    async def forget_what_is_old(self) -> None:
        """Of the journal, and of what nobody was there to be told."""
        for name in ("forget_old_messages", "forget_old_marks", "forget_old_events"):
            while await self._store.fetch(name, days=_DAYS_KEPT, max_count=_MAX_FORGOTTEN_AT_ONCE):
                pass
