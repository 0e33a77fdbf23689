"""Checks that the secret decrypts the stored tokens, before the gateway encrypts any."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg import AsyncConnection

from gateway.database.direct import direct_connection
from gateway.database.pool import fetch_all
from gateway.database.queries import query
from gateway.errors import InvalidSettings
from gateway.instances.tokens import Sealed, TokenVault
from gateway.runtime.secret import has_secret, secret_file, secrets_of
from gateway.settings.node_sections import StorageSection

_KEYS_IN_USE = query("instances", "list_keys_in_use")
_MAX_NAMES = 3


@dataclass(frozen=True, slots=True)
class SecretProblem:
    """What is wrong with the secret, and how to cure it."""

    sentence: str
    cure: str


@dataclass(frozen=True, slots=True)
class _Key:
    token_key_id: str
    tokens: int
    ciphertext: bytes
    instances: list[str]


async def require_matching_secret(storage: StorageSection, url: str) -> None:
    """Checks that the secret decrypts every token.

    Raises:
        InvalidSettings: it does not.
        DatabaseUnavailable: Postgres does not answer.
    """
    problem = await _problem_at(storage, url)
    if problem:
        raise InvalidSettings(f"secret key: {problem.sentence}: {problem.cure}")


async def find_secret_problem(
    storage: StorageSection, connection: AsyncConnection
) -> tuple[SecretProblem | None, bool]:
    """Returns the problem if there is one, and whether anything is encrypted."""
    keys = await fetch_all(connection, _Key, _KEYS_IN_USE)
    if not keys:
        return None, False
    if not has_secret(storage):
        return SecretProblem(
            f"{secret_file(storage)} is gone, and with it the key to all tokens",
            "put the file back, or its text into GATEWAY_SECRET_KEY, or "
            f"delete the instances: {_names_of(keys)}",
        ), True
    vault = TokenVault(secrets_of(storage, os.urandom), os.urandom)
    lost = [key for key in keys if not _opens(vault, key)]
    if lost:
        count = sum(key.tokens for key in lost)
        return SecretProblem(
            f"it cannot decrypt the tokens of {count} instance{'' if count == 1 else 's'}",
            "put the secret that made them into GATEWAY_SECRET_KEY after a comma, or "
            f"delete the instances: {_names_of(lost)}",
        ), True
    return None, True


def _names_of(keys: Sequence[_Key]) -> str:
    names = list(dict.fromkeys(name for key in keys for name in key.instances))
    has_more = len(names) > _MAX_NAMES or any(key.tokens > _MAX_NAMES for key in keys)
    return ", ".join(names[:_MAX_NAMES]) + (", ..." if has_more else "")


async def _problem_at(storage: StorageSection, url: str) -> SecretProblem | None:
    async with direct_connection(url) as connection:
        problem, _ = await find_secret_problem(storage, connection)
    return problem


def _opens(vault: TokenVault, key: _Key) -> bool:
    try:
        vault.open(Sealed(key.token_key_id, key.ciphertext))
    except InvalidSettings:
        return False
    return True
