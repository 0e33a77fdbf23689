"""Whether the secret decrypts what the database holds; asked before anything is encrypted anew."""

import os
from dataclasses import dataclass

from psycopg import AsyncConnection

from gateway.database.pool import connect_directly, driver_errors_translated, fetch_all
from gateway.database.queries import query
from gateway.errors import InvalidSettings
from gateway.instances.tokens import Sealed, TokenVault
from gateway.runtime.secret import has_secret, secret_file, secrets_of
from gateway.settings import Settings

_KEYS_IN_USE = query("instances", "list_keys_in_use")


@dataclass(frozen=True, slots=True)
class SecretProblem:
    """What is wrong with the secret, and how to mend it."""

    sentence: str
    cure: str


@dataclass(frozen=True, slots=True)
class _Key:
    token_key_id: str
    tokens: int
    ciphertext: bytes


async def require_secret_that_fits(settings: Settings, url: str) -> None:
    """Raises InvalidSettings where the secret does not decrypt every token.

    Raises DatabaseUnavailable where Postgres does not answer.
    """
    problem = await _problem_at(settings, url)
    if problem:
        raise InvalidSettings(f"secret key: {problem.sentence}: {problem.cure}")


async def require_secret_in_place(settings: Settings, url: str) -> None:
    """Raises InvalidSettings where the secret is gone, so that no other is made in its place.

    One that does not fit is let through: instances whose tokens are lost can still be deleted.
    """
    if not has_secret(settings):
        await require_secret_that_fits(settings, url)


async def find_secret_problem(
    settings: Settings, connection: AsyncConnection
) -> tuple[SecretProblem | None, bool]:
    """The problem if there is one, and whether anything is encrypted at all."""
    keys = await fetch_all(connection, _Key, _KEYS_IN_USE)
    if not keys:
        return None, False
    if not has_secret(settings):
        return SecretProblem(
            f"{secret_file(settings)} is gone, and with it the key to all tokens",
            "put the file back, or its text into GATEWAY_SECRET_KEY",
        ), True
    vault = TokenVault(secrets_of(settings, os.urandom), os.urandom)
    lost = sum(key.tokens for key in keys if not _opens(vault, key))
    if lost:
        return SecretProblem(
            f"it cannot decrypt the tokens of {lost} instances",
            "add the earlier secret to GATEWAY_SECRET_KEY, after a comma",
        ), True
    return None, True


async def _problem_at(settings: Settings, url: str) -> SecretProblem | None:
    connection = await connect_directly(url)
    with driver_errors_translated():
        async with connection:
            problem, _ = await find_secret_problem(settings, connection)
    return problem


def _opens(vault: TokenVault, key: _Key) -> bool:
    try:
        vault.open(Sealed(key.token_key_id, key.ciphertext))
    except InvalidSettings:
        return False
    return True
