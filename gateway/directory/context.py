"""What the handlers of this package need."""

from dataclasses import dataclass

from gateway.database.pool import Database
from gateway.instances.store import Instance
from gateway.randomness import RandomBytes
from gateway.sessions.cached_router import CachedSessionRouter


@dataclass(frozen=True, slots=True)
class DirectoryContext:
    """The database, and the router to the session for what the database does not hold."""

    database: Database
    router: CachedSessionRouter
    random_bytes: RandomBytes
    instance: Instance
