"""What all sessions of an engine share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import Clock
from gateway.observability.metrics import Metrics
from gateway.providers.whatsmeow.process import Children
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store


@dataclass(frozen=True, slots=True)
class ClientContext:
    """What all sessions of an engine share; `key_store` gives the URL of the library's database.

    In `folder` each instance has a file for its keys where they are not in that database.
    `picture` gives the JPEG that a caller named.
    """

    children: Children
    store: Store
    settings: WhatsmeowSettings
    clock: Clock
    folder: Path
    key_store: Callable[[], Awaitable[str]]
    picture: Callable[[str], Awaitable[bytes]]
    metrics: Metrics
