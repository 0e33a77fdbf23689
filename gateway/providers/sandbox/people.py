"""Acts for the people of the simulation: scans, writes, plans faults, from any node.

a statement changes the phone and stores an event  ->  a signal  ->  the engine that has the session
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from gateway.errors import InvalidRequest
from gateway.providers.sandbox.account import SELF, PhoneAccount
from gateway.providers.sandbox.entities import Entities
from gateway.providers.sandbox.faults import Fault
from gateway.providers.sandbox.pairing import phone_number
from gateway.providers.sandbox.stored_events import Body, event_body
from gateway.randomness import RandomBytes
from gateway.sessions.connection import ConnectionState
from gateway.sessions.provider import PictureChanged, ProviderStore

_SECRET_BYTES = 32
_MESSAGE_ID_BYTES = 9
_MAX_PICTURES = 1_000
EXPIRATION_SECONDS: Final = {"24_HOURS": 86_400, "7_DAYS": 604_800, "90_DAYS": 7_776_000}
_LINKED = (ConnectionState.CONNECTED, ConnectionState.DISCONNECTED)


@dataclass(frozen=True, slots=True)
class PhoneView:
    """The phone as its owner sees it."""

    phone: str
    state: ConnectionState
    typing_to: str | None
    typing_until: datetime | None
    faults: int


class People:
    """Changes phones and reads the journal; every method may raise DatabaseUnavailable.

    If an instance has no phone yet, because no session of it was opened, it gets one here.
    """

    def __init__(self, store: ProviderStore, random_bytes: RandomBytes) -> None:
        self._store, self._random_bytes = store, random_bytes
        self._entities = Entities(store)

    def new_message_id(self) -> str:
        """Returns a message id in the form that WhatsApp's own clients use."""
        return f"3EB0{self._random_bytes(_MESSAGE_ID_BYTES).hex().upper()}"

    async def scan(self, instance_id: str, phone: str | None) -> None:
        """Links the phone, under another number if one is given, and connects it."""
        await self._change(
            instance_id, ConnectionState.CONNECTED, phone=phone, allowed=tuple(ConnectionState)
        )

    async def change_state(self, instance_id: str, state: ConnectionState) -> None:
        """Disconnects or connects the phone, or logs it out.

        Raises:
            InvalidRequest: no phone is linked.
        """
        allowed = (*_LINKED, state)
        if not await self._change(instance_id, state, phone=None, allowed=allowed):
            raise InvalidRequest("state: no phone is linked, scan first")

    async def write(self, instance_id: str, body: Body) -> None:
        """Sends an event to the phone, which gets it as soon as it is connected.

        Raises:
            InvalidRequest: no phone is linked.
        """
        row = await self._on_phone("receive_message", instance_id, body=json.dumps(body))
        if not row["linked"]:
            raise InvalidRequest("No phone is linked to this instance, scan first")
        await self._store.signal(instance_id)

    async def change_picture(
        self, instance_id: str, phone: str, url: str | None, *, at: datetime
    ) -> None:
        """Gives a simulated person another picture, or none, and reports the change."""
        me = (await self.look(instance_id)).phone

        def alter(account: PhoneAccount) -> None:
            account.pictures.pop(phone, None)
            account.pictures[phone] = url
            while len(account.pictures) > _MAX_PICTURES:
                del account.pictures[next(iter(account.pictures))]
            account.emit([me], event_body(PictureChanged(phone, at)))

        await self._entities.change(PhoneAccount, SELF, alter, of=instance_id, missing=PhoneAccount)

    async def expiration_seconds(self, instance_id: str, chat: str) -> int:
        """Returns after how many seconds messages of a chat disappear; 0 for never."""
        stored = await self._entities.find(PhoneAccount, SELF, of=instance_id)
        chosen = stored.entity.expirations.get(chat) if stored else None
        return EXPIRATION_SECONDS[chosen] if chosen else 0

    async def plan_faults(self, instance_id: str, faults: Sequence[Fault]) -> None:
        """Plans the faults of the next sends, in this order; replaces earlier plans."""
        planned = [fault.model_dump(mode="json", exclude_none=True) for fault in faults]
        await self._on_phone("set_faults", instance_id, faults=json.dumps(planned))

    async def look(self, instance_id: str) -> PhoneView:
        row = await self._on_phone("find_phone", instance_id)
        return PhoneView(**{**row, "state": ConnectionState(row["state"])})

    async def sent(self, instance_id: str, *, after: int, max_count: int) -> list[dict[str, Any]]:
        """Returns the messages that WhatsApp accepted, in order of acceptance."""
        return await self._store.fetch(
            "list_sent", instance_id=instance_id, after=after, max_count=max_count
        )

    async def marks(self, instance_id: str, *, max_count: int) -> list[dict[str, Any]]:
        """Returns what was done to messages, sent or received."""
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
