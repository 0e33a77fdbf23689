"""Finds an instance of an account by its id or its name; names are not unique."""

from dataclasses import dataclass

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import Conflict, NotFound

_LIST_INSTANCES_NAMED = query("instances", "list_instances_named")
_MAX_LISTED = 10


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


async def id_of_named(
    database: Database,
    account_id: str,
    named: str,
    *,
    field: str,
    among: frozenset[str] = frozenset(),
) -> str:
    """Returns the id of the instance of an account that has the id or the name *named*.

    An id counts before names.

    Args:
        database: has the instances.
        account_id: the account whose instances are searched.
        named: an id or a name.
        field: the field of the caller that holds it, for errors.
        among: the only instances that the caller may know of; empty sets no limit.

    Raises:
        NotFound: the account has no such instance.
        Conflict: several instances have this name; the text has their ids.
    """
    found = await database.fetch_all(
        _Id,
        _LIST_INSTANCES_NAMED,
        account_id=account_id,
        named=named,
        among=sorted(among),
        max_count=_MAX_LISTED + 1,
    )
    if not found:
        raise NotFound(f"{field}: the account has no instance with this id or name")
    if len(found) > 1 and found[0].id != named:
        shown = [row.id for row in found[:_MAX_LISTED]]
        further = ", ..." if len(found) > _MAX_LISTED else ""
        raise Conflict(
            f"{field}: several instances have this name: {', '.join(shown)}{further}; give one of "
            "these ids instead"
        )
    return found[0].id
