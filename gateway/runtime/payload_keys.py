"""Says which secrets the encrypted content in the database still needs."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import AsyncConnection

from gateway.database.payload_seal import key_id_of
from gateway.database.pool import fetch_all
from gateway.database.queries import query
from gateway.runtime.finding import Finding
from gateway.runtime.secret import has_secret, secrets_of
from gateway.settings.node_sections import StorageSection

_LIST_KEYS = query("payloads", "list_keys")
_NAME = "encrypted content"


@dataclass(frozen=True, slots=True)
class _Key:
    key_id: str
    accounts: int
    checked_at: datetime | None


async def payload_key_findings(
    storage: StorageSection, connection: AsyncConnection
) -> list[Finding]:
    """Returns a finding for each key that is missing, and one for each earlier secret."""
    keys = await fetch_all(connection, _Key, _LIST_KEYS)
    used = {key.key_id: key.accounts for key in keys}
    if not used:
        return [Finding(_NAME, "no account has any")]
    secrets = secrets_of(storage, os.urandom) if has_secret(storage) else ()
    held = [key_id_of(secret) for secret in secrets]
    missing = [
        Finding(
            _NAME,
            f"{_accounts(count)} may need key {key_id}, which GATEWAY_SECRET_KEY does not hold",
            "add the secret that made it to GATEWAY_SECRET_KEY, after a comma",
        )
        for key_id, count in used.items()
        if key_id not in held
    ]
    checked = min((key.checked_at for key in keys if key.checked_at), default=None)
    return [*missing, *_earlier(held, used, checked)] or [Finding(_NAME, "every key is there")]


def _earlier(
    held: Sequence[str], used: Mapping[str, int], checked: datetime | None
) -> list[Finding]:
    """Says of each earlier secret whether content needs it.

    A node that still had that secret first may have written after the rows were checked.
    """
    return [
        Finding(_NAME, f"earlier secret {number} (key {key_id}): {_use_of(key_id, used, checked)}")
        for number, key_id in enumerate(held[1:], 1)
    ]


def _use_of(key_id: str, used: Mapping[str, int], checked: datetime | None) -> str:
    if key_id in used or checked is None:
        return f"{_accounts(used.get(key_id, 0))} may still need it"
    return f"no content needed it at {checked.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"
