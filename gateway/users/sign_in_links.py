"""Links that are good once: to open a session within ten minutes, or to set a password."""

from dataclasses import dataclass

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.instances.tokens import hash_of
from gateway.randomness import RandomBytes

_ISSUE_SIGN_IN_LINK = query("users", "issue_sign_in_link")
_REDEEM_SIGN_IN_LINK = query("users", "redeem_sign_in_link")
_FIND_SIGN_IN_LINK = query("users", "find_sign_in_link")
_LINK_SECONDS = 600.0
_PASSWORD_LINK_SECONDS = 24 * 3_600.0
_PASSWORD = "password:"  # noqa: S105 - makes the hash of such a link another one
_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class _Redeemed:
    user_id: str


class SignInLinks:
    """Issues and redeems the tokens of links; only their hashes are stored."""

    def __init__(self, database: Database, random_bytes: RandomBytes) -> None:
        self._database, self._random_bytes = database, random_bytes

    async def issue(self, user_id: str) -> str:
        """Returns a token for a link; it is never logged, and good once."""
        token = self._random_bytes(_TOKEN_BYTES).hex()
        await self._store(token, user_id, _LINK_SECONDS)
        return token

    async def issue_for_password(self, user_id: str) -> str:
        """Returns a token that sets a password once, within a day; it opens no session."""
        token = self._random_bytes(_TOKEN_BYTES).hex()
        await self._store(_PASSWORD + token, user_id, _PASSWORD_LINK_SECONDS)
        return token

    async def redeem(self, token: str) -> str | None:
        """Uses a token up; returns the id of its user, None if it is unknown, used or too old."""
        return await self._redeem(token)

    async def find_for_password(self, token: str) -> str | None:
        """Returns the user of a token that sets a password, and leaves the token as it is."""
        return await self._find(_PASSWORD + token)

    async def redeem_for_password(self, token: str) -> str | None:
        """Uses a token up that sets a password; returns the id of its user, or None."""
        return await self._redeem(_PASSWORD + token)

    async def _store(self, hashed: str, user_id: str, seconds: float) -> None:
        await self._database.execute(
            _ISSUE_SIGN_IN_LINK, token_hash=hash_of(hashed), user_id=user_id, seconds=seconds
        )

    async def _redeem(self, hashed: str) -> str | None:
        found = await self._database.fetch_one(
            _Redeemed, _REDEEM_SIGN_IN_LINK, token_hash=hash_of(hashed)
        )
        return found.user_id if found else None

    async def _find(self, hashed: str) -> str | None:
        found = await self._database.fetch_one(
            _Redeemed, _FIND_SIGN_IN_LINK, token_hash=hash_of(hashed)
        )
        return found.user_id if found else None
