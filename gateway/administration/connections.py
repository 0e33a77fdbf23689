"""Handlers of the connections of an instance: list, add and delete them, and their rules.

They change tables only. The node that owns the lease reads the active connection when it opens the
session.
"""

from dataclasses import dataclass
from datetime import datetime

from gateway.administration.partner import ProviderSelection
from gateway.contract.extensions.connections import (
    AddConnection,
    ChangeConnectionSettings,
    ConnectionHealth,
    ConnectionList,
    ConnectionSettings,
    DeleteConnection,
    EventCounts,
    Fallback,
    HealthState,
    ListConnections,
    ReceiptAlarm,
    ShownConnection,
)
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.database.pool import Count, Database, fetch_all
from gateway.database.queries import query
from gateway.database.repeating import until_answered
from gateway.errors import Conflict, InvalidRequest, NotFound, UnknownInstance
from gateway.history.states import utc
from gateway.instances.provider_settings import seal_whole
from gateway.instances.store import Instance
from gateway.instances.tokens import TokenVault, new_id
from gateway.randomness import RandomBytes

_LIST_CONNECTIONS = query("connections", "list_connections")
_FIND_CONNECTION_SETTINGS = query("connections", "find_connection_settings")
_CHANGE_CONNECTION_SETTINGS = query("connections", "change_connection_settings")
_LOCK_CONNECTIONS = query("connections", "lock_connections")
_COUNT_OLDER_NODES = query("connections", "count_older_nodes")
_ADD_STANDBY = query("connections", "add_standby")
_DELETE_STANDBY = query("connections", "delete_standby")


@dataclass(frozen=True, slots=True)
class ConnectionContext:
    """What the handlers need; `receipt_alarm` is that of the service."""

    database: Database
    vault: TokenVault
    random_bytes: RandomBytes
    selection: ProviderSelection
    receipt_alarm: ReceiptAlarm
    instance: Instance

    async def stored(self) -> "list[StoredConnection]":
        return await self.database.fetch_all(
            StoredConnection, _LIST_CONNECTIONS, instance_id=self.instance.id
        )


@dataclass(frozen=True, slots=True)
class StoredConnection:
    """A row of `instance_connections` without its settings."""

    id: str
    provider: str
    is_active: bool
    position: int
    connected: bool
    state: str | None
    reason: str | None
    changed_at: datetime | None
    last_error: str | None
    last_error_at: datetime | None
    health: ConnectionHealth
    health_reason: str | None
    health_since: datetime | None
    checked_at: datetime | None
    latency_ms: int | None
    error_rate: float | None
    repairs: int
    next_repair_at: datetime | None
    reported: int
    stored: int
    processed: int

    def shown(self) -> ShownConnection:
        return ShownConnection(
            id=self.id,
            provider=self.provider,
            mode="active" if self.is_active else "standby",
            position=self.position,
            connected=self.connected,
            state=self.state,
            reason=self.reason,
            since=utc(self.changed_at),
            health=HealthState(
                status=self.health,
                since=utc(self.health_since),
                reason=self.health_reason,
                latency_ms=self.latency_ms,
                error_rate=self.error_rate
                if self.error_rate is None
                else round(self.error_rate, 3),
                checked_at=utc(self.checked_at),
            ),
            last_error=self.last_error,
            last_error_at=utc(self.last_error_at),
            repairs=self.repairs,
            next_repair_at=utc(self.next_repair_at),
            events=EventCounts(
                reported=self.reported, stored=self.stored, processed=self.processed
            ),
        )


@dataclass(frozen=True, slots=True)
class _StoredSettings:
    fallback: Fallback
    missing_receipts: int | None
    of_messages: int | None
    receipt_wait_seconds: int | None
    receipt_missing_minutes: int = 0
    notify_refused: bool = False

    def shown(self, default: ReceiptAlarm) -> ConnectionSettings:
        of_messages = default.of_messages if self.of_messages is None else self.of_messages
        missing = (
            default.missing_receipts if self.missing_receipts is None else self.missing_receipts
        )
        wait = (
            default.wait_seconds if self.receipt_wait_seconds is None else self.receipt_wait_seconds
        )
        alarm = ReceiptAlarm(
            missing_receipts=min(missing, of_messages), of_messages=of_messages, wait_seconds=wait
        )
        return ConnectionSettings(
            fallback=self.fallback,
            receipt_alarm=alarm,
            receipt_missing_minutes=self.receipt_missing_minutes,
            notify_refused=self.notify_refused,
        )


handlers = Handlers[ConnectionContext]()


@handlers.handles(ListConnections)
async def list_connections(
    context: ConnectionContext, _operation: ListConnections
) -> ConnectionList:
    rows = await context.stored()
    if not rows:
        raise UnknownInstance
    settings = await context.database.fetch_one(
        _StoredSettings, _FIND_CONNECTION_SETTINGS, instance_id=context.instance.id
    )
    settings = settings or _StoredSettings("off", None, None, None)
    return ConnectionList(
        connections=tuple(row.shown() for row in rows),
        settings=settings.shown(context.receipt_alarm),
    )


@handlers.handles(AddConnection)
async def add_connection(context: ConnectionContext, operation: AddConnection) -> ShownConnection:
    provider = context.selection.choose(operation.provider)
    connection_id = new_id(context.random_bytes)
    sealed = seal_whole(operation.settings, context.vault)
    row = {
        "id": connection_id,
        "instance_id": context.instance.id,
        "provider": provider,
        "ciphertext": sealed.ciphertext,
        "key_id": sealed.key_id,
    }

    async def write(_is_repeated: bool) -> None:  # noqa: FBT001 - see until_answered
        async with context.database.transaction() as connection:
            if not await fetch_all(
                connection, _Locked, _LOCK_CONNECTIONS, instance_id=context.instance.id
            ):
                raise UnknownInstance
            (older,) = await fetch_all(connection, Count, _COUNT_OLDER_NODES)
            if older.count:
                raise Conflict(
                    "A node of an earlier release runs, which knows one connection of each "
                    "instance: add this one when every node has the new release"
                )
            others = await fetch_all(
                connection, StoredConnection, _LIST_CONNECTIONS, instance_id=context.instance.id
            )
            for other in others:
                if other.provider == provider and other.id != connection_id:
                    raise Conflict(
                        f"The instance has a connection of the provider {provider} already, with "
                        f"the id {other.id}: delete that one, or name another provider"
                    )
            await connection.execute(_ADD_STANDBY, row)

    await until_answered(write)
    return next(row.shown() for row in await context.stored() if row.id == connection_id)


@handlers.handles(DeleteConnection)
async def delete_connection(context: ConnectionContext, operation: DeleteConnection) -> Value:
    deleted = await context.database.execute(
        _DELETE_STANDBY, instance_id=context.instance.id, id=operation.connection_id
    )
    if deleted:
        return Value()
    if any(row.id == operation.connection_id for row in await context.stored()):
        raise Conflict(
            "This connection is active: an instance always has one. Delete the "
            "instance instead, or log its phone out"
        )
    raise NotFound("The instance has no connection with this id")


@handlers.handles(ChangeConnectionSettings)
async def change_settings(
    context: ConnectionContext, operation: ChangeConnectionSettings
) -> ConnectionSettings:
    before = (await list_connections(context, ListConnections())).settings.receipt_alarm
    missing, of_messages = operation.missing_receipts, operation.of_messages
    if (before.missing_receipts if missing is None else missing) > (
        before.of_messages if of_messages is None else of_messages
    ):
        raise InvalidRequest("missingReceipts: must not be more than ofMessages: give both")
    changed = await context.database.fetch_one(
        _StoredSettings,
        _CHANGE_CONNECTION_SETTINGS,
        instance_id=context.instance.id,
        **operation.model_dump(),
    )
    if changed is None:
        raise UnknownInstance
    return changed.shown(context.receipt_alarm)


@dataclass(frozen=True, slots=True)
class _Locked:
    id: str
