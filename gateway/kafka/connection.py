"""How to connect to Kafka's brokers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import NotFound
from gateway.outbound.trust import trusted

_FIND_ACCOUNTS = query("kafka", "find_accounts")


@dataclass(frozen=True, slots=True)
class Brokers:
    """The connection settings of every Kafka client of this gateway."""

    servers: str
    security: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = None
    idempotent: bool = True

    def options(self) -> dict[str, Any]:
        """Returns the keyword arguments of an aiokafka client."""
        return {
            "bootstrap_servers": self.servers,
            "security_protocol": self.security,
            "ssl_context": trusted() if "SSL" in self.security else None,
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }


@dataclass(frozen=True, slots=True)
class _Account:
    id: str
    name: str


async def find_accounts(database: Database, named: Sequence[str]) -> dict[str, str]:
    """Returns the id of each account, by the id or name in *named*.

    Raises:
        NotFound: an account does not exist yet.
    """
    rows = await database.fetch_all(_Account, _FIND_ACCOUNTS, named=list(named))
    known = {row.name: row.id for row in rows} | {row.id: row.id for row in rows}
    if missing := [name for name in named if name not in known]:
        raise NotFound(f"Kafka is set up for the account {missing[0]!r}, which does not exist")
    return {name: known[name] for name in named}
