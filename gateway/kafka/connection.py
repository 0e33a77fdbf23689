"""How Kafka's brokers are reached."""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import NotFound

_FIND_ACCOUNTS = query("kafka", "find_accounts")


@dataclass(frozen=True, slots=True)
class Brokers:
    """What every client of ours is made with."""

    servers: str
    security: str = "PLAINTEXT"
    mechanism: str = "PLAIN"
    username: str | None = None
    password: str | None = None
    idempotent: bool = True

    def options(self) -> dict[str, Any]:
        """As aiokafka wants them."""
        return {
            "bootstrap_servers": self.servers,
            "security_protocol": self.security,
            "ssl_context": ssl.create_default_context() if "SSL" in self.security else None,
            "sasl_mechanism": self.mechanism,
            "sasl_plain_username": self.username,
            "sasl_plain_password": self.password,
        }


@dataclass(frozen=True, slots=True)
class _Account:
    id: str
    name: str


async def find_accounts(database: Database, named: Sequence[str]) -> dict[str, str]:
    """The id of each account, by what it was named.

    Raises:
        NotFound: there is no such account yet.
    """
    rows = await database.fetch_all(_Account, _FIND_ACCOUNTS, named=list(named))
    known = {row.name: row.id for row in rows} | {row.id: row.id for row in rows}
    if missing := [name for name in named if name not in known]:
        raise NotFound(f"Kafka is set up for {missing[0]!r}, and there is no such account")
    return {name: known[name] for name in named}
