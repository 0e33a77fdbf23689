"""What the answers of this package are made from."""

from dataclasses import dataclass

from gateway.database.pool import Database
from gateway.instances.store import Instance
from gateway.random import RandomBytes
from gateway.sessions.remembered import RememberingAsker


@dataclass(frozen=True, slots=True)
class DirectoryDesk:
    """Our own tables, and the session for what they do not hold."""

    database: Database
    asker: RememberingAsker
    random_bytes: RandomBytes
    instance: Instance
