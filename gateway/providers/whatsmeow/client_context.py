"""The objects that all sessions of an engine share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import Clock
from gateway.observability.metrics import Metrics
from gateway.providers.whatsmeow.children import Children
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store
from gateway.sessions.library_pool import LibraryPool


@dataclass(frozen=True, slots=True)
class ClientContext:
    """The objects that all sessions of an engine share.

    `pool` leads to the library's tables; it is None with keys in files, of which `folder` has one
    for each instance. `picture` returns the JPEG that a caller named, for the instance of that id.
    """

    children: Children
    store: Store
    settings: WhatsmeowSettings
    clock: Clock
    folder: Path
    pool: LibraryPool | None
    picture: Callable[[str, str], Awaitable[bytes]]
    metrics: Metrics
