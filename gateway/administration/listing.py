"""Reads lists of instances."""

from dataclasses import dataclass

from gateway.database.pool import Count, Database
from gateway.database.queries import query
from gateway.instances.store import Instance

_LIST_INSTANCES = query("instances", "list_instances")
_COUNT_LISTED_INSTANCES = query("instances", "count_listed_instances")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceFilter:
    """Selects instances; None and an empty text select all."""

    account_id: str | None = None
    mobile: bool | None = None
    text: str = ""
    connected: bool | None = None


@dataclass(frozen=True, slots=True)
class InstanceWithConnection(Instance):
    """An instance, and whether its session is connected."""

    connected: bool = False


async def count_instances(database: Database, where: InstanceFilter) -> int:
    row = await database.fetch_one(
        Count,
        _COUNT_LISTED_INSTANCES,
        account_id=where.account_id,
        mobile=where.mobile,
        text=where.text,
        connected=where.connected,
    )
    return row.count if row else 0


async def list_instances(
    database: Database, where: InstanceFilter, *, limit: int | None = None, offset: int = 0
) -> list[InstanceWithConnection]:
    """Returns instances, oldest first."""
    return await database.fetch_all(
        InstanceWithConnection,
        _LIST_INSTANCES,
        account_id=where.account_id,
        mobile=where.mobile,
        text=where.text,
        connected=where.connected,
        limit=limit,
        offset=offset,
    )
