"""The secrets that sign an account's callbacks: two while one replaces the other.

A further webhook may have a secret and headers of its own.
"""

from dataclasses import dataclass
from typing import cast

import orjson

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.database.repeating import until_answered
from gateway.errors import NotFound
from gateway.instances.tokens import Sealed, TokenVault
from gateway.randomness import RandomBytes

_FIND_SECRETS = query("webhooks", "find_secrets")
_ROTATE_SECRET = query("webhooks", "rotate_secret")
_RETIRE_SECRET = query("webhooks", "retire_secret")

_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedSecrets:
    """The secrets as the account's row stores them."""

    webhook_secret_ciphertext: bytes | None
    webhook_secret_key_id: str | None
    previous_webhook_secret_ciphertext: bytes | None
    previous_webhook_secret_key_id: str | None

    @property
    def is_set(self) -> bool:
        return self.webhook_secret_ciphertext is not None

    @property
    def previous_signs(self) -> bool:
        return self.previous_webhook_secret_ciphertext is not None

    def open(self, vault: TokenVault) -> tuple[str, ...]:
        """Returns the secrets, the current one first."""
        sealed = (
            (self.webhook_secret_key_id, self.webhook_secret_ciphertext),
            (self.previous_webhook_secret_key_id, self.previous_webhook_secret_ciphertext),
        )
        return tuple(vault.open(Sealed(key, text)) for key, text in sealed if key and text)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedWebhook(SealedSecrets):
    """The headers and the secret of a further webhook, and the secrets of its account."""

    headers_ciphertext: bytes | None
    headers_key_id: str | None
    secret_ciphertext: bytes | None
    secret_key_id: str | None

    def open_headers(self, vault: TokenVault) -> dict[str, str]:
        """Returns the headers by name."""
        if not (self.headers_key_id and self.headers_ciphertext):
            return {}
        opened = vault.open(Sealed(self.headers_key_id, self.headers_ciphertext))
        return cast("dict[str, str]", orjson.loads(opened))

    def open_signing(self, vault: TokenVault) -> tuple[str, ...]:
        """Returns its own secret, or those of the account if it has none."""
        if not (self.secret_key_id and self.secret_ciphertext):
            return self.open(vault)
        return (vault.open(Sealed(self.secret_key_id, self.secret_ciphertext)),)


class WebhookSecrets:
    """Finds, makes and retires an account's secrets."""

    def __init__(self, database: Database, vault: TokenVault, random_bytes: RandomBytes) -> None:
        self._database, self._vault, self._random_bytes = database, vault, random_bytes

    async def find(self, account_id: str) -> SealedSecrets:
        """Returns the secrets of an account, sealed.

        Raises:
            NotFound: the account was deleted.
        """
        found = await self._database.fetch_one(SealedSecrets, _FIND_SECRETS, account_id=account_id)
        if found is None:
            raise NotFound("The account was deleted")
        return found

    async def rotate(self, account_id: str) -> str:
        """Returns a new secret, in hex; the previous one stays valid until it is retired."""
        secret = self._random_bytes(_SECRET_BYTES).hex()
        sealed = self._vault.seal(secret)

        async def write(_is_repeated: bool) -> None:  # noqa: FBT001 - see until_answered
            await self._database.execute(
                _ROTATE_SECRET,
                account_id=account_id,
                ciphertext=sealed.ciphertext,
                key_id=sealed.key_id,
            )

        await until_answered(write)
        return secret

    async def retire(self, account_id: str) -> None:
        """Deletes the previous secret: from now on only the current one signs."""
        await self._database.execute(_RETIRE_SECRET, account_id=account_id)
