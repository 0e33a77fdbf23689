"""Logs out a phone that was linked with a link which names another number.

Its queue is held from the linking on (decide_linking_v1), so nothing is sent with it.
"""

import asyncio
from dataclasses import dataclass

from gateway.administration.audit import Audit, Caller, Credential, Subject
from gateway.clock import Clock
from gateway.contract.scopes import ALL_SCOPES
from gateway.contract.zapi.instances import Disconnect
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import DatabaseUnavailable, GatewayError
from gateway.instances.store import Instance, Instances
from gateway.observability.logging import logger
from gateway.periodic_loop import PeriodicLoop
from gateway.sessions.connection import ConnectionState
from gateway.sessions.events import ConnectionChanged, Event
from gateway.sessions.router import SessionRouter

_LIST_WRONG_PHONES = query("phone_links", "list_wrong_phones")

_AGAIN_SECONDS = 2.0
_INTERVAL_SECONDS = 30.0  # a notification may be lost, or the lease be on a node that died
_CALLER = Caller(Credential.PHONE_LINK, scopes=ALL_SCOPES)


@dataclass(frozen=True, slots=True)
class _WrongPhone:
    instance_id: str
    account_id: str


class WrongPhones:
    """Logs such phones out, on the node that has the session, until it is done."""

    def __init__(
        self,
        database: Database,
        instances: Instances,
        router: SessionRouter,
        audit: Audit,
        clock: Clock,
        *,
        node_id: str,
    ) -> None:
        self._database, self._instances, self._router = database, instances, router
        self._audit, self._node_id = audit, node_id
        self._wakeup = asyncio.Event()
        self._loop = PeriodicLoop("wrong phones", self._log_out_all, clock, wakeup=self._wakeup)

    def listen(self, notifications: Notifications) -> None:
        """Wakes the loop at such a linking."""
        notifications.subscribe(
            "wrong_phone_linked", lambda _instance_id: self._wakeup.set(), on_reconnect=self._wake
        )

    def on_event(self, _instance: Instance, event: Event) -> None:
        """Wakes the loop when a session connects: a node before this one may have died."""
        if isinstance(event, ConnectionChanged) and event.state is ConnectionState.CONNECTED:
            self._wake()

    async def run_until(self, stopping: asyncio.Event) -> None:
        await self._loop.run_until(stopping)

    async def _log_out_all(self) -> float:
        rows = await self._database.fetch_all(
            _WrongPhone, _LIST_WRONG_PHONES, node_id=self._node_id
        )
        async with asyncio.TaskGroup() as tasks:
            for row in rows:
                tasks.create_task(self._log_out(row), name=f"wrong phone {row.instance_id}")
        return _AGAIN_SECONDS if rows else _INTERVAL_SECONDS

    async def _log_out(self, row: _WrongPhone) -> None:
        subject = Subject(row.account_id, row.instance_id)
        try:
            instance = await self._instances.find(row.instance_id)
            if instance is None:
                return
            async with self._audit.noting(Disconnect.__name__, _CALLER, subject):
                await self._router.execute(instance, Disconnect())
        except DatabaseUnavailable as error:
            logger.warning("database_unavailable", component="wrong phones", error=str(error))
        except GatewayError as error:
            logger.warning(
                "wrong_phone_not_logged_out",
                instance_id=row.instance_id,
                error=type(error).__name__,
            )
        else:
            logger.warning("wrong_phone_logged_out", instance_id=row.instance_id)

    def _wake(self) -> None:
        self._wakeup.set()
