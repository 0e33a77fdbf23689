"""Handlers of an account's API keys: list, create and revoke them."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.administration.admin_service import networks_of
from gateway.clock import Clock
from gateway.contract.extensions.api_keys import (
    ApiKeyList,
    CreateApiKey,
    CreatedApiKey,
    ListApiKeys,
    RevokeApiKey,
    ShownApiKey,
)
from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.scopes import ApiScope, known_scopes
from gateway.database.pool import Count, Database, fetch_all
from gateway.database.queries import query
from gateway.database.repeating import until_answered
from gateway.errors import Conflict, Forbidden, InvalidRequest, NotFound, UnknownInstance
from gateway.instances.accounts import Account
from gateway.instances.api_keys import ApiKey, new_api_key
from gateway.instances.tokens import hash_of, new_id
from gateway.randomness import RandomBytes

_LIST_API_KEYS = query("api_keys", "list_api_keys")
_LOCK_ACCOUNT = query("api_keys", "lock_account_for_keys")
_COUNT_API_KEYS = query("api_keys", "count_api_keys")
_COUNT_OWN_INSTANCES = query("api_keys", "count_own_instances")
_ADD_API_KEY = query("api_keys", "add_api_key")
_REVOKE_API_KEY = query("api_keys", "revoke_api_key")

_MAX_KEYS = 200
_PARTNER_TOKEN = "partner token"  # noqa: S105 - what made a key


@dataclass(frozen=True, slots=True)
class ApiKeyContext:
    """What the handlers need."""

    database: Database
    clock: Clock
    random_bytes: RandomBytes
    account: Account


@dataclass(frozen=True, slots=True)
class _Listed:
    id: str
    name: str
    scopes: list[str]
    instance_ids: list[str]
    networks: list[str]
    expires_at: datetime | None
    created_by: str
    created_at: datetime
    used_at: datetime | None
    address: str | None


handlers = Handlers[ApiKeyContext]()


@handlers.handles(ListApiKeys)
async def list_keys(context: ApiKeyContext, _operation: ListApiKeys) -> ApiKeyList:
    _require_more_than_client_token(context.account)
    rows = await context.database.fetch_all(_Listed, _LIST_API_KEYS, account_id=context.account.id)
    return ApiKeyList(keys=tuple(map(_shown, rows)))


@handlers.handles(CreateApiKey)
async def create_key(context: ApiKeyContext, operation: CreateApiKey) -> CreatedApiKey:
    account, scopes = context.account, sorted(set(operation.scopes))
    _require_more_than_client_token(account)
    networks = networks_of(operation.networks)
    if operation.expires_at and operation.expires_at <= context.clock.now():
        raise InvalidRequest("expiresAt: must be in the future")
    if account.key:
        _require_within(account.key, scopes, networks, operation.expires_at)
    await _require_own_instances(context, operation.instance_ids)
    key, key_id = new_api_key(context.random_bytes), new_id(context.random_bytes)
    row = {
        "id": key_id,
        "account_id": account.id,
        "name": operation.name,
        "token_hash": hash_of(key),
        "scopes": [scope.value for scope in scopes],
        "instance_ids": sorted(set(operation.instance_ids)),
        "networks": networks,
        "expires_at": operation.expires_at,
        "created_by": _maker_of(account),
    }

    async def write(_is_repeated: bool) -> None:  # noqa: FBT001 - see until_answered
        async with context.database.transaction() as connection:
            await connection.execute(_LOCK_ACCOUNT, {"account_id": account.id})
            (others,) = await fetch_all(
                connection, Count, _COUNT_API_KEYS, account_id=account.id, id=key_id
            )
            if others.count >= _MAX_KEYS:
                raise Conflict(f"An account has {_MAX_KEYS} API keys at most: revoke one")
            await connection.execute(_ADD_API_KEY, row)

    await until_answered(write)
    return CreatedApiKey(
        id=key_id,
        key=key,
        name=operation.name,
        scopes=tuple(scopes),
        instance_ids=tuple(sorted(set(operation.instance_ids))),
        networks=tuple(networks),
        expires_at=operation.expires_at,
    )


@handlers.handles(RevokeApiKey)
async def revoke_key(context: ApiKeyContext, operation: RevokeApiKey) -> Value:
    _require_more_than_client_token(context.account)
    if not await context.database.execute(
        _REVOKE_API_KEY, account_id=context.account.id, id=operation.key_id
    ):
        raise NotFound("API key not found")
    return Value()


def _maker_of(account: Account) -> str:
    if account.key:
        return f"API key {account.key.name}"
    return account.acting_user or _PARTNER_TOKEN


def _require_more_than_client_token(account: Account) -> None:
    if account.is_found_by_client_token:
        raise Forbidden(
            "A Client-Token manages no API keys: use the partner token, or an API key with the "
            "scope manage"
        )


def _require_within(
    maker: ApiKey, scopes: Sequence[ApiScope], networks: Sequence[str], expires_at: datetime | None
) -> None:
    """Refuses a key that could do what the key that makes it cannot do, from there or then."""
    if not maker.scopes.issuperset(scopes):
        raise Forbidden("scopes: an API key gives no scope that it lacks")
    if maker.networks and not (
        networks and all(_is_within(each, maker.networks) for each in networks)
    ):
        raise Forbidden("networks: must be within those of the API key that makes it")
    if maker.expires_at and (expires_at is None or expires_at > maker.expires_at):
        raise Forbidden("expiresAt: must not be after that of the API key that makes it")


def _is_within(network: str, others: Sequence[str]) -> bool:
    inner = ipaddress.ip_network(network)
    for text in others:
        outer = ipaddress.ip_network(text)
        if inner.version == outer.version and inner.subnet_of(outer):  # type: ignore[arg-type]
            return True
    return False


async def _require_own_instances(context: ApiKeyContext, instance_ids: Sequence[str]) -> None:
    named = sorted(set(instance_ids))
    if not named:
        return
    row = await context.database.fetch_one(
        Count, _COUNT_OWN_INSTANCES, account_id=context.account.id, instance_ids=named
    )
    if row is None or row.count < len(named):
        raise UnknownInstance


def _shown(row: _Listed) -> ShownApiKey:
    return ShownApiKey(
        id=row.id,
        name=row.name,
        scopes=tuple(sorted(known_scopes(row.scopes))),
        instance_ids=tuple(row.instance_ids),
        networks=tuple(row.networks),
        expires_at=row.expires_at and row.expires_at.astimezone(UTC),
        created_by=row.created_by,
        created_at=row.created_at.astimezone(UTC),
        last_used_at=row.used_at and row.used_at.astimezone(UTC),
        last_used_from=row.address,
    )
