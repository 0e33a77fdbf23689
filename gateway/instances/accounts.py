"""Accounts: they own instances, and list the addresses that may use them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from psycopg.errors import ForeignKeyViolation

from gateway.account_turns import AccountTurns, Share
from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Count, Database
from gateway.database.queries import query
from gateway.errors import Conflict
from gateway.instances.api_keys import ApiKey, ApiKeys, is_api_key
from gateway.instances.tokens import hash_of

_FIND_ACCOUNT = query("instances", "find_account")
_FIND_ACCOUNT_BY_ID = query("instances", "find_account_by_id")
_COUNT_INSTANCES = query("instances", "count_instances")
_LIST_ACCOUNTS = query("instances", "list_accounts")
_DELETE_ACCOUNT = query("instances", "delete_account")
_REDEEM_TICKET = query("instances", "redeem_event_ticket")
_ALLOW_ADDRESSES = query("instances", "allow_addresses")

MAX_INSTANCES_BY_CLIENT_TOKEN = 25
_OF_ONE_TOKEN: Final = Share(2, 2)


@dataclass(frozen=True, slots=True)
class Account:
    """An account, and what found it: its partner token, its Client-Token or an API key.

    `token_hash` is the hash of that token; it is empty where the id alone found the account.
    `acting_user` is the login of the user who acts on it, where a session found it.
    """

    id: str
    name: str
    allowed_addresses: tuple[str, ...]
    client_token_required: bool
    created_at: datetime
    by_partner_token: bool
    token_hash: bytes = b""
    client_token_manages: bool = True
    key: ApiKey | None = None
    acting_user: str | None = None

    @property
    def is_found_by_client_token(self) -> bool:
        return bool(self.token_hash) and not self.by_partner_token and self.key is None


@dataclass(frozen=True, slots=True)
class ListedAccount:
    """An account as the operator lists it, with its number of instances."""

    id: str
    name: str
    allowed_addresses: tuple[str, ...]
    client_token_required: bool
    created_at: datetime
    instances: int


@dataclass(frozen=True, slots=True)
class _Ticket:
    token_hash: bytes


class Accounts:
    """Finds and changes accounts; every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database, keys: ApiKeys) -> None:
        self._database, self.keys = database, keys
        self._look_ups = database.for_look_ups()
        self._turns = AccountTurns(_OF_ONE_TOKEN)
        """Of look-ups, by the hash of the token."""

    async def find(self, account_id: str) -> Account | None:
        return await self._database.fetch_one(Account, _FIND_ACCOUNT_BY_ID, account_id=account_id)

    async def find_by_token(self, token: str) -> Account | None:
        """Returns the account of a partner token, Client-Token or API key.

        The look-up compares hashes, so the time it takes shows nothing of the token.
        """
        if is_api_key(token):
            key = await self.keys.find(token)
            return account_of(key) if key else None
        return await self._find_by_token_hash(hash_of(token))

    async def find_by_any_hash(self, token_hash: bytes) -> Account | None:
        """Returns the account of the hash of a token of any kind."""
        if account := await self._find_by_token_hash(token_hash):
            return account
        key = await self.keys.find_by_hash(token_hash)
        return account_of(key) if key else None

    async def _find_by_token_hash(self, token_hash: bytes) -> Account | None:
        # Hundreds of requests that begin together would take every connection to Postgres.
        async with self._turns.turn(token_hash.hex()):
            return await self._look_ups.fetch_one(Account, _FIND_ACCOUNT, token_hash=token_hash)

    async def redeem_ticket(self, ticket: str) -> bytes | None:
        """Returns the hash of the token that asked for a ticket; a ticket is good once."""
        found = await self._look_ups.fetch_one(_Ticket, _REDEEM_TICKET, ticket_hash=hash_of(ticket))
        return found.token_hash if found else None

    async def is_small(self, account: Account) -> bool:
        """Returns whether the account has few enough instances for its Client-Token to manage."""
        max_count = MAX_INSTANCES_BY_CLIENT_TOKEN
        row = await self._database.fetch_one(
            Count, _COUNT_INSTANCES, account_id=account.id, max_count=max_count + 1
        )
        return row is not None and row.count <= max_count

    async def list_all(self) -> list[ListedAccount]:
        return await self._database.fetch_all(ListedAccount, _LIST_ACCOUNTS)

    async def delete(self, account_id: str) -> None:
        """Deletes an account that has no instance.

        Raises:
            Conflict: it has an instance.
        """
        try:
            await self._database.within(DatabaseDeadline.ERASURE).execute(
                _DELETE_ACCOUNT, account_id=account_id
            )
        except ForeignKeyViolation:
            raise Conflict(
                "A new instance was made in this account: delete the account again"
            ) from None

    async def allow_addresses(self, account_id: str, networks: list[str]) -> bool:
        """Sets the networks that may use the account; an empty list allows every address.

        Returns whether the account exists.
        """
        return bool(
            await self._database.execute(
                _ALLOW_ADDRESSES, account_id=account_id, allowed_addresses=networks
            )
        )


def account_of(key: ApiKey) -> Account:
    return Account(
        key.account_id,
        key.account_name,
        key.allowed_addresses,
        key.client_token_required,
        key.account_created_at,
        by_partner_token=False,
        token_hash=key.token_hash,
        key=key,
    )
