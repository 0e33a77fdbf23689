"""Says which secrets the encrypted content in the database still needs."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import AsyncConnection
from psycopg.sql import SQL, Identifier

from gateway.database.content_declarations import DeclaredSecret, declared_secrets
from gateway.database.payload_seal import key_id_of
from gateway.database.pool import fetch_all
from gateway.database.queries import query
from gateway.runtime.finding import Finding
from gateway.runtime.secret import has_secret, secrets_of
from gateway.settings.node_sections import StorageSection

_LIST_KEYS = query("payloads", "list_keys")
_NAME = "encrypted content"
_COUNT_DEVICES = SQL(
    "select substring({column} from '^sealed:([0-9a-f]{{8}})[.]') as key_id,"
    " count(distinct instance_id) from {table} where {column} ~ '^sealed:' group by 1"
)


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
    used = {key.key_id: _accounts(key.accounts) for key in keys}
    for key_id, devices in (await _linked_devices(connection)).items():
        used[key_id] = " and ".join(filter(None, (used.get(key_id), devices)))
    if not used:
        return [Finding(_NAME, "no account has any")]
    secrets = secrets_of(storage, os.urandom) if has_secret(storage) else ()
    held = [key_id_of(secret) for secret in secrets]
    missing = [
        Finding(
            _NAME,
            f"{users} may need key {key_id}, which GATEWAY_SECRET_KEY does not hold",
            "add the secret that made it to GATEWAY_SECRET_KEY, after a comma",
        )
        for key_id, users in used.items()
        if key_id not in held
    ]
    checked = min((key.checked_at for key in keys if key.checked_at), default=None)
    if not keys:  # only keys of devices are encrypted, and those were counted now
        checked = datetime.now(UTC)
    return [*missing, *_earlier(held, used, checked)] or [Finding(_NAME, "every key is there")]


async def _linked_devices(connection: AsyncConnection) -> dict[str, str]:
    """Returns for each key how many linked devices have keys under it, as words."""
    counts = Counter[str]()
    for secret in declared_secrets():
        found = await connection.execute(_COUNT_DEVICES.format(**_names_of(secret)))
        counts.update(dict(await found.fetchall()))
    return {
        key_id: "1 linked device" if count == 1 else f"{count} linked devices"
        for key_id, count in sorted(counts.items())
    }


def _names_of(secret: DeclaredSecret) -> dict[str, Identifier]:
    return {"table": Identifier(*secret.table), "column": Identifier(secret.column)}


def _earlier(
    held: Sequence[str], used: Mapping[str, str], checked: datetime | None
) -> list[Finding]:
    """Says of each earlier secret whether content needs it.

    A node that still had that secret first may have written after the rows were checked.
    """
    return [
        Finding(_NAME, f"earlier secret {number} (key {key_id}): {_use_of(key_id, used, checked)}")
        for number, key_id in enumerate(held[1:], 1)
    ]


def _use_of(key_id: str, used: Mapping[str, str], checked: datetime | None) -> str:
    if key_id in used or checked is None:
        return f"{used.get(key_id, _accounts(0))} may still need it"
    return f"no content needed it at {checked.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _accounts(count: int) -> str:
    return "1 account" if count == 1 else f"{count} accounts"
