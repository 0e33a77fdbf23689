"""What is written down of the connection of an instance, whichever node holds its session."""

from dataclasses import dataclass

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import UnknownInstance

_FIND_CONNECTION = query("instances", "find_connection")


@dataclass(frozen=True, slots=True)
class Connection:
    """What the session told last; `state` is None where none was ever open."""

    connected: bool
    state: str | None
    reason: str | None


async def connection_of(database: Database, instance_id: str) -> Connection:
    """How the instance is connected now.

    Raises:
        UnknownInstance: it was deleted meanwhile.
    """
    found = await database.fetch_one(Connection, _FIND_CONNECTION, instance_id=instance_id)
    if found is None:
        raise UnknownInstance
    return found
