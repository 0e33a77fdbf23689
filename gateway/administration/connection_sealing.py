"""Encrypts the settings of connections from before they were encrypted; a maintenance task."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import InvalidSettings
from gateway.instances.provider_settings import open_settings, seal_whole
from gateway.instances.tokens import TokenVault
from gateway.observability.logging import logger

_LIST_UNSEALED = query("connections", "list_unsealed")
_SEAL_SETTINGS = query("connections", "seal_settings")
_MAX_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class _Unsealed:
    instance_id: str
    provider: str
    provider_settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ConnectionSealing:
    """Seals what a migration left, and the settings of instances that an older node makes.

    `secret_settings` names the fields that are encrypted already, by provider; it raises
    InvalidSettings for one that this program lacks.
    """

    database: Database
    vault: TokenVault
    secret_settings: Callable[[str], Collection[str]]

    async def run(self) -> None:
        """Seals up to 500 connections; one that does not open stays as it is."""
        for row in await self.database.fetch_all(_Unsealed, _LIST_UNSEALED, max_count=_MAX_AT_ONCE):
            try:
                secret = self.secret_settings(row.provider)
                settings = open_settings(row.provider_settings, secret, self.vault)
            except InvalidSettings as error:
                logger.warning(
                    "connection_not_sealed", instance_id=row.instance_id, error=str(error)
                )
                continue
            sealed = seal_whole(settings, self.vault)
            await self.database.execute(
                _SEAL_SETTINGS,
                instance_id=row.instance_id,
                ciphertext=sealed.ciphertext,
                key_id=sealed.key_id,
            )
