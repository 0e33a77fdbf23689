"""What the builders of a node's parts share."""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.account_turns import AccountTurns
from gateway.clock import Clock
from gateway.database.notifications import Notifications
from gateway.database.pool import Database
from gateway.database.sealing import Sealing
from gateway.instances.base_urls import BaseUrls
from gateway.instances.store import Instances
from gateway.instances.tokens import TokenVault
from gateway.observability.metrics import Metrics
from gateway.observability.traffic import TrafficCounts
from gateway.parsing.parser import BodyParser
from gateway.public_address import AddressPolicy
from gateway.randomness import Uniform
from gateway.runtime.media import Media
from gateway.runtime.part import Part
from gateway.runtime.supervisor import Stage, Supervisor
from gateway.sessions.node_lock import NodeLock
from gateway.sessions.provider import Engine
from gateway.settings.node_sections import Role


@dataclass(frozen=True, slots=True)
class NodeContext:
    """The shared objects of one node; each builder gets it, and starts the parts that it builds."""

    role: Role
    address_policy: AddressPolicy
    proxy_policy: AddressPolicy
    supervisor: Supervisor
    clock: Clock
    uniform: Uniform
    metrics: Metrics
    traffic: TrafficCounts
    database: Database
    notifications: Notifications
    instances: Instances
    engines: Mapping[str, Engine]
    media: Media
    parser: BodyParser
    base_urls: BaseUrls
    vault: TokenVault
    sealing: Sealing
    secrets: tuple[str, ...]
    node_id: str
    node_lock: NodeLock
    internal_address: str
    turns: AccountTurns
    """Of the steps of an account that no request waits for: of sends, of received events and of
    deliveries together. A step is a statement or a transaction, and waits for no other step."""

    def start(self, stage: Stage, **parts: Part | None) -> None:
        """Starts the parts that are not None, under their names with blanks for underscores."""
        present = {name.replace("_", " "): part for name, part in parts.items() if part}
        self.supervisor.start(stage, present)

    def start_if_sending(self, stage: Stage, **parts: Part | None) -> None:
        """Starts the parts where the role of this node sends."""
        if self.role.sends:
            self.start(stage, **parts)
