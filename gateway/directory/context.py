"""What the answers of this package are made from."""

from dataclasses import dataclass

from gateway.database.pool import Database
from gateway.instances.store import Instance
from gateway.randomness import RandomBytes
from gateway.sessions.cached_router import CachedSessionRouter


@dataclass(frozen=True, slots=True)
class DirectoryContext:
    """Our own tables, and the session for what they do not hold."""

    database: Database
    router: CachedSessionRouter
    random_bytes: RandomBytes
    instance: Instance
