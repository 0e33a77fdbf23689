"""The objects that all sessions of an engine share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.observability.metrics import Metrics
from gateway.providers.baileys.children import NodeChildren
from gateway.providers.baileys.settings import BaileysSettings
from gateway.providers.baileys.store import BaileysStore


@dataclass(frozen=True, slots=True)
class BaileysContext:
    """The objects that all sessions of an engine share.

    `picture` returns the JPEG that a caller named, for the instance of that id.
    """

    children: NodeChildren
    store: BaileysStore
    settings: BaileysSettings
    clock: Clock
    picture: Callable[[str, str], Awaitable[bytes]]
    metrics: Metrics
