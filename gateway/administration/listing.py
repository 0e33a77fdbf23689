"""Instances as their owner, or the operator, goes through them."""

from dataclasses import dataclass

from gateway.database.pool import Count, Database
from gateway.database.queries import query
from gateway.instances.store import Instance

_LIST_INSTANCES = query("instances", "list_instances")
_COUNT_LISTED_INSTANCES = query("instances", "count_listed_instances")


@dataclass(frozen=True, slots=True, kw_only=True)
class Which:
    """Narrows what is listed; None and an empty text narrow nothing."""

    account_id: str | None = None
    mobile: bool | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Listed(Instance):
    """An instance, and whether WhatsApp answers."""

    connected: bool = False


async def count_instances(database: Database, which: Which) -> int:
    row = await database.fetch_one(
        Count,
        _COUNT_LISTED_INSTANCES,
        account_id=which.account_id,
        mobile=which.mobile,
        text=which.text,
    )
    return row.count if row else 0


async def list_instances(
    database: Database, which: Which, *, limit: int | None = None, offset: int = 0
) -> list[Listed]:
    """Oldest first."""
    return await database.fetch_all(
        Listed,
        _LIST_INSTANCES,
        account_id=which.account_id,
        mobile=which.mobile,
        text=which.text,
        limit=limit,
        offset=offset,
    )
