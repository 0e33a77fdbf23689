"""The objects that all sessions of an engine share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import Clock
from gateway.observability.metrics import Metrics
from gateway.providers.whatsmeow.children import Children
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store


@dataclass(frozen=True, slots=True)
class ClientContext:
    """The objects that all sessions of an engine share.

    `key_store` returns the URL of the library's database. With keys in files, `folder` has a file
    for each instance. `picture` returns the JPEG that a caller named,
    for the instance of that id.
    """

    children: Children
    store: Store
    settings: WhatsmeowSettings
    clock: Clock
    folder: Path
    key_store: Callable[[], Awaitable[str]]
    picture: Callable[[str, str], Awaitable[bytes]]
    metrics: Metrics
