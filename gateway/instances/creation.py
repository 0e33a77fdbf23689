"""Making accounts and instances; the only moment at which their tokens are in the open."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.instances.store import Instance
from gateway.instances.tokens import Sealed, TokenVault, hash_of, new_id
from gateway.random import RandomBytes

_ADD_ACCOUNT = query("instances", "add_account")
_ADD_INSTANCE = query("instances", "add_instance")
_FIND_DEMO = query("instances", "find_demo")
_FIND_INSTANCE = query("instances", "find_instance")
_RENEW_TOKENS = query("instances", "renew_tokens")


@dataclass(frozen=True, slots=True)
class NewAccount:
    """An account and the tokens that are shown once."""

    id: str
    client_token: str
    partner_token: str


@dataclass(frozen=True, slots=True)
class NewInstance:
    """An instance and its token."""

    id: str
    token: str


@dataclass(frozen=True, slots=True)
class _Found:
    id: str


class Registry:
    """Makes accounts and instances."""

    def __init__(self, database: Database, vault: TokenVault, random_bytes: RandomBytes) -> None:
        self._database, self._vault, self._random_bytes = database, vault, random_bytes

    async def add_account(self, name: str, *, client_token_required: bool) -> NewAccount:
        account = NewAccount(*(new_id(self._random_bytes) for _ in range(3)))
        await self._database.execute(
            _ADD_ACCOUNT,
            id=account.id,
            name=name,
            client_token_hash=hash_of(account.client_token),
            client_token_required=client_token_required,
            partner_token_hash=hash_of(account.partner_token),
        )
        return account

    async def add_instance(
        self,
        account_id: str,
        name: str,
        *,
        provider: str,
        provider_settings: Mapping[str, Any] | None = None,
        demo: bool = False,
    ) -> NewInstance:
        instance = NewInstance(new_id(self._random_bytes), new_id(self._random_bytes))
        sealed = self._vault.seal(instance.token)
        await self._database.execute(
            _ADD_INSTANCE,
            id=instance.id,
            account_id=account_id,
            name=name,
            token_hash=hash_of(instance.token),
            token_ciphertext=sealed.ciphertext,
            token_key_id=sealed.key_id,
            provider=provider,
            provider_settings=Jsonb(dict(provider_settings or {})),
            demo=demo,
        )
        return instance

    async def find_demo(self) -> Instance | None:
        found = await self._database.fetch_one(_Found, _FIND_DEMO)
        if found is None:
            return None
        return await self._database.fetch_one(Instance, _FIND_INSTANCE, id=found.id)

    async def renew_tokens(self, account_id: str) -> NewAccount:
        """New client and partner tokens for an account whose own are lost."""
        account = NewAccount(account_id, new_id(self._random_bytes), new_id(self._random_bytes))
        await self._database.execute(
            _RENEW_TOKENS,
            account_id=account_id,
            client_token_hash=hash_of(account.client_token),
            partner_token_hash=hash_of(account.partner_token),
        )
        return account

    def token_of(self, instance: Instance) -> str:
        return self._vault.open(Sealed(instance.token_key_id, instance.token_ciphertext))
