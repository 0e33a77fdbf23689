"""How to connect to Kafka's brokers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import NotFound
from gateway.outbound.trust import trusted

_FIND_ACCOUNTS = query("kafka", "find_accounts")
_OFFSETS = query("kafka", "offsets")

ANY_ACCOUNT: Final = "*"
"""In place of a topic's account: the `userId` of each record names it."""


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
class KafkaAccount:
    """An account that the settings or a record name by id or name."""

    id: str
    name: str


async def accounts_named(database: Database, named: Sequence[str]) -> list[KafkaAccount]:
    """Returns the accounts whose id or name is in *named*."""
    return await database.fetch_all(KafkaAccount, _FIND_ACCOUNTS, named=list(named))


async def find_accounts(database: Database, named: Sequence[str]) -> dict[str, str]:
    """Returns the id of each account, by the id or name in *named*.

    Raises:
        NotFound: an account does not exist yet.
    """
    rows = await accounts_named(database, named)
    known = {row.name: row.id for row in rows} | {row.id: row.id for row in rows}
    if missing := [name for name in named if name not in known]:
        raise NotFound(f"Kafka is set up for the account {missing[0]!r}, which does not exist")
    return {name: known[name] for name in named}


async def accounts_of_topics(
    database: Database, named: Mapping[str, str]
) -> dict[str, KafkaAccount | None]:
    """Returns the account of each topic in *named*; None for a topic of any account.

    Raises:
        NotFound: an account does not exist yet.
    """
    own = {topic: account for topic, account in named.items() if account != ANY_ACCOUNT}
    ids = await find_accounts(database, list(own.values()))
    by_id = {row.id: row for row in await accounts_named(database, list(ids.values()))}
    return {topic: by_id[ids[own[topic]]] if topic in own else None for topic in named}


@dataclass(frozen=True, slots=True)
class StoredOffset:
    """Where the consumer goes on in a partition: after the last record that was decided."""

    topic: str
    partition: int
    next_offset: int


async def stored_offsets(database: Database, topics: Sequence[str]) -> list[StoredOffset]:
    return await database.fetch_all(StoredOffset, _OFFSETS, topics=sorted(topics))
