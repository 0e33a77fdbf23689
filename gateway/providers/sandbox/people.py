"""What people do on the other side of the simulation, from any node, session or no session.

a statement changes the phone and keeps an event  ->  a signal  ->  the engine that holds it
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.errors import InvalidRequest
from gateway.providers.sandbox.faults import Fault
from gateway.providers.sandbox.pairing import phone_number
from gateway.providers.sandbox.telling import Body
from gateway.randomness import RandomBytes
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import ProviderStore

_SECRET_BYTES = 32
_MESSAGE_ID_BYTES = 9
_LINKED = (ConnectionState.CONNECTED, ConnectionState.DISCONNECTED)


@dataclass(frozen=True, slots=True)
class PhoneSeen:
    """A phone as its owner sees it."""

    phone: str
    state: ConnectionState
    typing_to: str | None
    typing_until: datetime | None
    faults: int


class People:
    """Every method may raise DatabaseUnavailable.

    An instance nobody opened yet gets its phone here: its creator need not wait for a session.
    """

    def __init__(self, store: ProviderStore, random_bytes: RandomBytes) -> None:
        self._store, self._random_bytes = store, random_bytes

    def new_message_id(self) -> str:
        """An id as WhatsApp's own clients make them."""
        return f"3EB0{self._random_bytes(_MESSAGE_ID_BYTES).hex().upper()}"

    async def scan(self, instance_id: str, phone: str | None) -> None:
        """Links the phone, under another number if one is given, and connects it."""
        await self._change(
            instance_id, ConnectionState.CONNECTED, phone=phone, allowed=tuple(ConnectionState)
        )

    async def change_state(self, instance_id: str, state: ConnectionState) -> None:
        """Takes the phone off the network or back, or ends the session on it.

        Raises:
            InvalidRequest: no phone is linked.
        """
        allowed = (*_LINKED, state)
        if not await self._change(instance_id, state, phone=None, allowed=allowed):
            raise InvalidRequest("state: no phone is linked, scan first")

    async def write(self, instance_id: str, body: Body) -> None:
        """Sends the phone something; it gets it when it is within reach.

        Raises:
            InvalidRequest: no phone is linked.
        """
        row = await self._on_phone("receive_message", instance_id, body=json.dumps(body))
        if not row["linked"]:
            raise InvalidRequest("No phone is linked to this instance, scan first")
        await self._store.signal(instance_id)

    async def plan_faults(self, instance_id: str, faults: Sequence[Fault]) -> None:
        """What the next sends will run into, in this order; replaces what was planned."""
        planned = [fault.model_dump(mode="json", exclude_none=True) for fault in faults]
        await self._on_phone("set_faults", instance_id, faults=json.dumps(planned))

    async def look(self, instance_id: str) -> PhoneSeen:
        row = await self._on_phone("find_phone", instance_id)
        return PhoneSeen(**{**row, "state": ConnectionState(row["state"])})

    async def sent(self, instance_id: str, *, after: int, max_count: int) -> list[dict[str, Any]]:
        """What arrived at WhatsApp, in order of arrival."""
        return await self._store.fetch(
            "list_sent", instance_id=instance_id, after=after, max_count=max_count
        )

    async def marks(self, instance_id: str, *, max_count: int) -> list[dict[str, Any]]:
        """What became of messages, sent or received."""
        return await self._store.fetch("list_marks", instance_id=instance_id, max_count=max_count)

    async def _change(
        self,
        instance_id: str,
        state: ConnectionState,
        *,
        phone: str | None,
        allowed: Sequence[ConnectionState],
    ) -> bool:
        row = await self._on_phone(
            "change_phone",
            instance_id,
            state=state.value,
            phone=phone,
            allowed=[each.value for each in allowed],
        )
        await self._store.signal(instance_id)
        return bool(row["allowed"])

    async def _on_phone(self, name: str, instance_id: str, **parameters: object) -> dict[str, Any]:
        rows = await self._store.fetch(name, instance_id=instance_id, **parameters)
        if not rows:
            await self._store.fetch(
                "add_phone",
                instance_id=instance_id,
                phone=phone_number(instance_id),
                secret=self._random_bytes(_SECRET_BYTES).hex(),
            )
            rows = await self._store.fetch(name, instance_id=instance_id, **parameters)
        return rows[0]
