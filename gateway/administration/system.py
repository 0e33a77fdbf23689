"""What an operator sees of the installation: nodes, database, disk, providers, accounts, users.

Every method takes the caller and refuses everyone but an operator.
"""

import asyncio
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from gateway.administration.account_admin import AccountAdmin
from gateway.administration.account_overview import Totals, read_totals
from gateway.administration.audit import Caller, Credential
from gateway.administration.findings import FoundProblems, ProblemFinder, finding_of
from gateway.administration.user_admin import UserAdmin
from gateway.contract.extensions.overview import FindingKind, OverviewFinding
from gateway.contract.scopes import ApiScope
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import Forbidden

_LIST_NODES = query("overview", "list_nodes")
_READ_DATABASE_STATE = query("overview", "read_database_state")
_COUNT_INSTANCES_OF_PROVIDERS = query("overview", "count_instances_of_providers")
_SEARCH_ACCOUNTS = query("overview", "search_accounts")

_NEARLY_USED: Final = 0.9
_LOW_DISK_SHARE: Final = 0.1
_OPERATORS: Final = frozenset({Credential.SESSION, Credential.COMMAND_LINE})


@dataclass(frozen=True, slots=True)
class NodeState:
    """A node; role and version are None where the process is one of an earlier release."""

    id: str
    internal_address: str | None
    started_at: datetime
    expires_at: datetime
    is_live: bool
    role: str | None
    version: str | None
    leases: int


@dataclass(frozen=True, slots=True)
class DatabaseState:
    """The database; `replicas` counts the servers that follow it now, as far as the user sees."""

    version: str
    size_bytes: int
    max_connections: int
    connections: int
    is_read_only: bool
    replicas: int
    migration: int
    migrations: int
    instances_without_node: int


@dataclass(frozen=True, slots=True)
class DiskState:
    """The disk of a folder of this node."""

    folder: Path
    total_bytes: int
    free_bytes: int

    @property
    def is_nearly_full(self) -> bool:
        return self.free_bytes < _LOW_DISK_SHARE * self.total_bytes


@dataclass(frozen=True, slots=True)
class ProviderState:
    """A provider: how many operations it supports, those that it lacks, and its instances."""

    name: str
    is_default: bool
    instances: int
    supported: int
    lacking: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AccountRow:
    """An account in a page; `of_all` is how many fit."""

    id: str
    name: str
    created_at: datetime
    instances: int
    connected: int
    users: int
    of_all: int


@dataclass(frozen=True, slots=True)
class _OfProvider:
    provider: str
    instances: int


@dataclass(frozen=True, slots=True)
class SystemState:
    """Reads the state of the installation.

    Attributes:
        database: the pool.
        problems: finds what needs attention.
        data_dir: of this node.
        default_provider: of new instances; None where each names its own.
        provider_table: what GET /providers answers.
        users_as: returns what makes and changes users, as this caller in the audit log.
        accounts_as: returns what makes accounts, as this caller in the audit log.
    """

    database: Database
    problems: ProblemFinder
    data_dir: Path
    default_provider: str | None
    provider_table: Callable[[], Mapping[str, Any]]
    users_as: Callable[[Caller], UserAdmin]
    accounts_as: Callable[[Caller], AccountAdmin]

    async def nodes(self, caller: Caller) -> list[NodeState]:
        """Returns the nodes by name, also those that expired within the last day."""
        require_operator(caller)
        return await self.database.fetch_all(NodeState, _LIST_NODES)

    async def database_state(self, caller: Caller) -> DatabaseState:
        require_operator(caller)
        state = await self.database.fetch_one(DatabaseState, _READ_DATABASE_STATE)
        assert state is not None
        return state

    async def disk(self, caller: Caller) -> DiskState:
        """Returns the disk of the data directory; of this node only."""
        require_operator(caller)
        usage = await asyncio.to_thread(shutil.disk_usage, self.data_dir)
        return DiskState(self.data_dir, usage.total, usage.free)

    async def providers(self, caller: Caller) -> list[ProviderState]:
        """Returns the providers by name, those of instances that this node does not have too."""
        require_operator(caller)
        table = self.provider_table()
        rows = await self.database.fetch_all(_OfProvider, _COUNT_INSTANCES_OF_PROVIDERS)
        used = {row.provider: row.instances for row in rows}
        return [
            self._provider(name, table["operations"], used.get(name, 0))
            for name in sorted({*table["providers"], *used})
        ]

    async def totals(self, caller: Caller) -> Totals:
        """Returns queues and callbacks of all accounts."""
        require_operator(caller)
        return await read_totals(self.database, None)

    async def problems_of_all(self, caller: Caller) -> FoundProblems:
        """Returns what needs attention in all accounts, in the nodes and in the database."""
        require_operator(caller)
        found = await self.problems.find(None)
        nodes, database = await self.nodes(caller), await self.database_state(caller)
        further = [*_of_nodes(nodes), *_of_database(database), *_of_disk(await self.disk(caller))]
        return found.with_further(further)

    async def accounts(
        self, caller: Caller, *, text: str = "", limit: int = 50, offset: int = 0
    ) -> list[AccountRow]:
        """Returns a page of the accounts with *text* in their name or id, by name."""
        require_operator(caller)
        return await self.database.fetch_all(
            AccountRow, _SEARCH_ACCOUNTS, text=text.strip(), limit=limit, offset=offset
        )

    def account_admin(self, caller: Caller) -> AccountAdmin:
        """Returns what makes accounts, as this operator."""
        require_operator(caller)
        return self.accounts_as(caller)

    def users(self, caller: Caller) -> UserAdmin:
        """Returns what lists, makes and changes users, as this operator."""
        require_operator(caller)
        return self.users_as(caller)

    def _provider(
        self, name: str, operations: Sequence[Mapping[str, Any]], instances: int
    ) -> ProviderState:
        lacking = [row["operation"] for row in operations if name not in row["supportedBy"]]
        return ProviderState(
            name=name,
            is_default=name == self.default_provider,
            instances=instances,
            supported=len(operations) - len(lacking),
            lacking=tuple(lacking),
        )


def require_operator(caller: Caller) -> None:
    """Raises Forbidden for everyone but an operator and the command line."""
    is_limited = caller.account_id is not None or bool(caller.instance_ids)
    if is_limited or caller.credential not in _OPERATORS or ApiScope.MANAGE not in caller.scopes:
        raise Forbidden("Only an operator of the installation may see this")


def _of_nodes(nodes: Sequence[NodeState]) -> list[OverviewFinding]:
    expired = [
        finding_of(
            FindingKind.NODE_EXPIRED, subject=node.id, since=node.expires_at, count=node.leases
        )
        for node in nodes
        if not node.is_live
    ]
    versions = sorted({node.version or "earlier" for node in nodes if node.is_live})
    if len(versions) <= 1:
        return expired
    return [*expired, finding_of(FindingKind.VERSIONS_DIFFER, subject=", ".join(versions))]


def _of_database(state: DatabaseState) -> list[OverviewFinding]:
    found = []
    if state.is_read_only:
        found.append(finding_of(FindingKind.DATABASE_READ_ONLY, subject=state.version))
    if state.connections >= _NEARLY_USED * state.max_connections:
        used = f"{state.connections}/{state.max_connections}"
        found.append(finding_of(FindingKind.CONNECTIONS_NEARLY_USED, subject=used))
    if state.instances_without_node:
        found.append(
            finding_of(
                FindingKind.INSTANCES_WITHOUT_NODE,
                subject=str(state.instances_without_node),
                count=state.instances_without_node,
            )
        )
    return found


def _of_disk(disk: DiskState) -> list[OverviewFinding]:
    if not disk.is_nearly_full:
        return []
    return [finding_of(FindingKind.DISK_NEARLY_FULL, subject=str(disk.folder))]
