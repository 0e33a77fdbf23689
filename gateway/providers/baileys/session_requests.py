"""Answers what a session in a child asks: to commit keys and events, or to read what is stored."""

from collections.abc import Callable, Sequence
from typing import Any

from gateway.providers.baileys.frames import NodeRequest
from gateway.providers.baileys.process import RequestRefused
from gateway.providers.baileys.store import BaileysStore, StoredBody
from gateway.sessions.provider import SessionSpec
from gateway.whatsapp_web.session import Json

_FENCED = "a newer session of the instance writes the keys"
_RATCHETS = frozenset({"session", "sender-key"})
"""Kinds of keys of which each encrypted message changes one."""


class SessionRequests:
    """The requests of one session, which an older epoch may not make.

    It calls *on_events* with the names and bodies of events that were stored.
    """

    def __init__(
        self,
        spec: SessionSpec,
        store: BaileysStore,
        on_events: Callable[[Sequence[StoredBody]], None],
    ) -> None:
        self._spec, self._store, self._report_events = spec, store, on_events
        self.ratchets = 0

    async def answer(self, request: NodeRequest) -> Json:
        """Returns the answer; raises RequestRefused."""
        store, instance_id, body = self._store, self._spec.instance_id, request.body
        if request.epoch != self._spec.epoch:
            raise RequestRefused(_FENCED)
        match request.what:
            case "commit":
                return await self._commit(body)
            case "keys":
                return await store.keys(instance_id, body["kind"], body["ids"])
            case "ids":
                return await store.key_ids(instance_id, body["kind"])
            case "stored":
                return await store.is_stored(instance_id, body)
            case what:
                raise RequestRefused(f"a session does not ask for {what}")

    async def _commit(self, body: dict[str, Any]) -> None:
        rows, events = body["rows"], body["events"]
        may_write = await self._store.commit(
            self._spec.instance_id,
            self._spec.epoch,
            rows=rows,
            events=events,
            device=body.get("device"),
        )
        if not may_write:
            raise RequestRefused(_FENCED)
        if any(kind in _RATCHETS for kind, _, _ in rows):
            self.ratchets += 1
        if events:
            self._report_events(events)
