"""What the rooms of one node are built on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.instances.base_urls import BaseUrls
from gateway.instances.store import Instances
from gateway.instances.tokens import TokenVault
from gateway.observability.metrics import Metrics
from gateway.randomness import Uniform
from gateway.runtime.media import Media
from gateway.runtime.part import Part
from gateway.runtime.supervisor import Stage, Supervisor
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.provider import Engine
from gateway.settings import Settings


@dataclass(frozen=True, slots=True)
class NodeContext:
    """Handed to each builder, which starts the parts it makes."""

    settings: Settings
    supervisor: Supervisor
    clock: Clock
    uniform: Uniform
    metrics: Metrics
    database: Database
    notifications: Notifications
    instances: Instances
    engines: Mapping[str, Engine]
    media: Media
    base_urls: BaseUrls
    vault: TokenVault
    secrets: tuple[str, ...]
    node_id: str
    node_lock: NodeLock
    internal_address: str

    def start(self, stage: Stage, **parts: Part | None) -> None:
        """Starts those that there are; an underscore in a name reads as a blank."""
        found = {name.replace("_", " "): part for name, part in parts.items() if part}
        self.supervisor.start(stage, found)

    def start_if_sending(self, stage: Stage, **parts: Part | None) -> None:
        if self.settings.role.sends:
            self.start(stage, **parts)


def all_of(*calls: Callable[[], None]) -> Callable[[], None]:
    """Calls each in turn."""

    def call_all() -> None:
        for call in calls:
            call()

    return call_all
