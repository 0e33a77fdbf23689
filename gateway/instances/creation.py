"""Makes accounts and instances; only here are their tokens readable."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection
from psycopg.errors import UniqueViolation
from psycopg.types.json import Jsonb

from gateway.database.pool import Count, Database, fetch_all
from gateway.database.queries import query
from gateway.database.repeating import until_answered
from gateway.errors import Conflict, Forbidden, InvalidRequest, UnknownInstance
from gateway.instances.accounts import MAX_INSTANCES_BY_CLIENT_TOKEN
from gateway.instances.api_keys import KEY_PREFIX, is_api_key
from gateway.instances.provider_settings import seal_settings, seal_whole
from gateway.instances.store import Instance
from gateway.instances.tokens import Sealed, TokenVault, hash_of, new_id
from gateway.randomness import RandomBytes

_ADD_ACCOUNT = query("instances", "add_account")
_ADD_INSTANCE = query("instances", "add_instance")
_FIND_DEMO = query("instances", "find_demo")
_FIND_INSTANCE = query("instances", "find_instance")
_RENEW_TOKENS = query("instances", "renew_tokens")
_ROTATE_TOKEN = query("instances", "rotate_token")
_LOCK_ACCOUNT_NAME = query("instances", "lock_account_name")
_FIND_ACCOUNT_BY_NAME = query("instances", "find_account_by_name")
_LOCK_ACCOUNT = query("instances", "lock_account")
_LOCK_INSTANCE_ID = query("instances", "lock_instance_id")
_SEAL_SETTINGS = query("connections", "seal_settings")
_IS_BEING_REMOVED = query("instances", "is_being_removed")
_COUNT_INSTANCES = query("instances", "count_instances")

_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TOKEN = re.compile(r"[!-.0-~]{16,256}")  # printable without a slash, as a part of a path

_MANY = 1_000_000


@dataclass(frozen=True, slots=True)
class _Allowance:
    allowed_instances: int


@dataclass(frozen=True, slots=True)
class NewAccount:
    """A new account and its tokens, which are shown once."""

    id: str
    client_token: str
    partner_token: str


@dataclass(frozen=True, slots=True)
class NewInstance:
    """A new instance and its token."""

    id: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceOptions:
    """The settings of a new instance, besides its name and provider."""

    session_name: str | None = None
    is_device: bool = False
    business_device: bool = False
    received_callback_url: str | None = None
    delivery_callback_url: str | None = None
    message_status_callback_url: str | None = None
    connected_callback_url: str | None = None
    disconnected_callback_url: str | None = None
    presence_chat_callback_url: str | None = None
    notify_sent_by_me: bool = False
    call_reject_auto: bool = False
    call_reject_message: str | None = None
    auto_read_message: bool = False
    auto_read_status: bool = False
    disable_enqueue_when_disconnected: bool = False
    trial_ends_at: datetime | None = None
    subscribed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingCredentials:
    """The id and token that clients of an instance use already; None makes a new one."""

    id: str | None = None
    token: str | None = None

    def check(self) -> None:
        """Raises InvalidRequest if the id or token cannot be a part of a path."""
        if self.id is not None and not _ID.fullmatch(self.id):
            raise InvalidRequest("id: must be 1 to 64 of A-Z, a-z, 0-9, dot, dash and underscore")
        if self.token is not None:
            check_token(self.token)


def check_token(token: str) -> None:
    if not _TOKEN.fullmatch(token):
        raise InvalidRequest("token: must be 16 to 256 visible characters without a slash")
    if is_api_key(token):
        raise InvalidRequest(f"token: must not begin with {KEY_PREFIX}, as API keys do")


@dataclass(frozen=True, slots=True)
class _Found:
    id: str


@dataclass(frozen=True, slots=True)
class _Named:
    id: str
    name: str


class Registry:
    """Makes accounts and instances, and renews tokens."""

    def __init__(
        self,
        database: Database,
        vault: TokenVault,
        random_bytes: RandomBytes,
        *,
        secret_settings: Callable[[str], Collection[str]],
    ) -> None:
        """Creates the registry.

        Args:
            database: where accounts and instances are.
            vault: encrypts tokens and secret settings.
            random_bytes: makes ids and tokens.
            secret_settings: names the secret fields among the settings of a provider.
        """
        self._database, self._vault, self._random_bytes = database, vault, random_bytes
        self._secret_settings = secret_settings

    async def add_account(
        self,
        name: str,
        *,
        client_token_required: bool,
        client_token: str | None = None,
        partner_token: str | None = None,
        allowed_addresses: Sequence[str] = (),
        unique_name: bool = False,
    ) -> NewAccount:
        """Makes an account, with new tokens where none are given.

        With *unique_name* no other account may have this name in any capitals.

        Raises:
            InvalidRequest: a given token has a wrong form.
            Conflict: another account has this name or a given token.
        """
        for token in filter(None, (client_token, partner_token)):
            check_token(token)
        account = NewAccount(
            new_id(self._random_bytes),
            client_token or new_id(self._random_bytes),
            partner_token or new_id(self._random_bytes),
        )
        row = {
            "id": account.id,
            "name": name,
            "client_token_hash": hash_of(account.client_token),
            "client_token_required": client_token_required,
            "partner_token_hash": hash_of(account.partner_token),
            "allowed_addresses": list(allowed_addresses),
        }

        async def write(is_repeated: bool) -> None:  # noqa: FBT001 - see until_answered
            async with self._database.transaction() as connection:
                # Also waits for an earlier run of this write, whose answer was lost.
                await connection.execute(_LOCK_ACCOUNT_NAME, {"name": name})
                if is_repeated and await _has_account(connection, account.id):
                    return
                if unique_name:
                    await _require_free_name(connection, name)
                try:
                    await connection.execute(_ADD_ACCOUNT, row)
                except UniqueViolation:
                    raise Conflict(
                        "Another account has this token already: give another one"
                    ) from None

        await until_answered(write)
        return account

    async def add_instance(
        self,
        account_id: str,
        name: str,
        *,
        provider: str,
        provider_settings: Mapping[str, Any] | None = None,
        demo: bool = False,
        credentials: ExistingCredentials | None = None,
        options: InstanceOptions | None = None,
        by_client_token: bool = False,
        max_instances: int = 0,
    ) -> NewInstance:
        """Makes an instance; the first node to acquire its lease opens the session.

        Raises:
            InvalidRequest: the given id or token has a wrong form.
            Conflict: an instance with this id exists, or its rows are still being deleted.
            Forbidden: the account has as many instances as it, or a Client-Token, may make.
        """
        credentials = credentials or ExistingCredentials()
        credentials.check()
        instance = NewInstance(
            credentials.id or new_id(self._random_bytes),
            credentials.token or new_id(self._random_bytes),
        )
        sealed = self._vault.seal(instance.token)
        settings = seal_whole(provider_settings or {}, self._vault)
        row = {
            "id": instance.id,
            "account_id": account_id,
            "name": name,
            "token_hash": hash_of(instance.token),
            "token_ciphertext": sealed.ciphertext,
            "token_key_id": sealed.key_id,
            "provider": provider,
            "provider_settings": Jsonb(
                seal_settings(provider_settings or {}, self._secret_settings(provider), self._vault)
            ),
            "demo": demo,
            **asdict(options or InstanceOptions(subscribed=True)),
        }

        async def write(is_repeated: bool) -> None:  # noqa: FBT001 - see until_answered
            async with self._database.transaction() as connection:
                await connection.execute(_LOCK_INSTANCE_ID, {"id": instance.id})
                if is_repeated and await _has_instance(connection, row):
                    return
                if by_client_token or max_instances:
                    await _require_free_place(
                        connection, account_id, max_instances, by_client_token=by_client_token
                    )
                if await fetch_all(connection, _Found, _IS_BEING_REMOVED, id=instance.id):
                    raise Conflict(
                        f"Instance {instance.id} is still being deleted: try again in a minute"
                    )
                try:
                    await connection.execute(_ADD_INSTANCE, row)
                except UniqueViolation:
                    raise Conflict(
                        f"Instance {instance.id} exists already: give another id"
                    ) from None
                await connection.execute(
                    _SEAL_SETTINGS, {"instance_id": instance.id, **asdict(settings)}
                )

        await until_answered(write)
        return instance

    async def find_demo(self) -> Instance | None:
        found = await self._database.fetch_one(_Found, _FIND_DEMO)
        if found is None:
            return None
        return await self._database.fetch_one(Instance, _FIND_INSTANCE, id=found.id)

    async def renew_tokens(self, account_id: str) -> NewAccount:
        """Replaces both tokens of an account."""
        account = NewAccount(account_id, new_id(self._random_bytes), new_id(self._random_bytes))

        async def write(_is_repeated: bool) -> None:  # noqa: FBT001 - see until_answered
            await self._database.execute(
                _RENEW_TOKENS,
                account_id=account_id,
                client_token_hash=hash_of(account.client_token),
                partner_token_hash=hash_of(account.partner_token),
            )

        await until_answered(write)
        return account

    async def rotate_token(self, instance_id: str, *, account_id: str) -> str:
        """Replaces the token of an instance and returns the new one.

        Raises:
            UnknownInstance: the account has no such instance.
        """
        token = new_id(self._random_bytes)
        sealed = self._vault.seal(token)

        async def write(_is_repeated: bool) -> int:  # noqa: FBT001 - see until_answered
            return await self._database.execute(
                _ROTATE_TOKEN,
                id=instance_id,
                account_id=account_id,
                token_hash=hash_of(token),
                token_ciphertext=sealed.ciphertext,
                token_key_id=sealed.key_id,
            )

        if not await until_answered(write):
            raise UnknownInstance
        return token

    def token_of(self, instance: Instance) -> str:
        return self._vault.open(Sealed(instance.token_key_id, instance.token_ciphertext))


async def _has_account(connection: AsyncConnection, account_id: str) -> bool:
    return bool(await fetch_all(connection, _Allowance, _LOCK_ACCOUNT, account_id=account_id))


async def _has_instance(connection: AsyncConnection, row: Mapping[str, Any]) -> bool:
    """Says whether an earlier run added this instance: it has the same encrypted token."""
    found = await fetch_all(connection, Instance, _FIND_INSTANCE, id=row["id"])
    return any(instance.token_ciphertext == row["token_ciphertext"] for instance in found)


async def _require_free_name(connection: AsyncConnection, name: str) -> None:
    for other in await fetch_all(connection, _Named, _FIND_ACCOUNT_BY_NAME, name=name):
        raise Conflict(
            f"There is an account {other.name} already, with the id {other.id}: give another name"
        )


async def _require_free_place(
    connection: AsyncConnection, account_id: str, max_instances: int, *, by_client_token: bool
) -> None:
    (account,) = await fetch_all(connection, _Allowance, _LOCK_ACCOUNT, account_id=account_id)
    limit = max(max_instances, account.allowed_instances) if max_instances else _MANY
    if by_client_token:
        limit = min(limit, MAX_INSTANCES_BY_CLIENT_TOKEN)
    (row,) = await fetch_all(
        connection, Count, _COUNT_INSTANCES, account_id=account_id, max_count=limit + 1
    )
    if row.count < limit:
        return
    if limit == MAX_INSTANCES_BY_CLIENT_TOKEN:
        raise Forbidden(f"A Client-Token makes at most {limit} instances: use the partner token")
    raise Forbidden(
        f"The account has {row.count} of at most {limit} instances: delete one, or have "
        "GATEWAY_ACCOUNT_MAX_INSTANCES raised"
    )
