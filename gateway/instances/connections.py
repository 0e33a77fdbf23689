"""The stored state of an instance's connection, which any node may read."""

from dataclasses import dataclass

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import UnknownInstance

_FIND_CONNECTION = query("instances", "find_connection")


@dataclass(frozen=True, slots=True)
class Connection:
    """The last state that a session reported; `state` is None before the first session.

    `phone` is the number that was linked last.
    """

    connected: bool
    state: str | None
    reason: str | None
    phone: str | None = None


async def connection_of(database: Database, instance_id: str) -> Connection:
    """Returns the stored state of the connection.

    Raises:
        UnknownInstance: the instance was deleted.
    """
    found = await database.fetch_one(Connection, _FIND_CONNECTION, instance_id=instance_id)
    if found is None:
        raise UnknownInstance
    return found
