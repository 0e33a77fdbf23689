"""Links that open one session each, within ten minutes."""

from dataclasses import dataclass

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.instances.tokens import hash_of
from gateway.randomness import RandomBytes

_ISSUE_SIGN_IN_LINK = query("users", "issue_sign_in_link")
_REDEEM_SIGN_IN_LINK = query("users", "redeem_sign_in_link")
_LINK_SECONDS = 600.0
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
        await self._database.execute(
            _ISSUE_SIGN_IN_LINK, token_hash=hash_of(token), user_id=user_id, seconds=_LINK_SECONDS
        )
        return token

    async def redeem(self, token: str) -> str | None:
        """Uses a token up; returns the id of its user, None if it is unknown, used or too old."""
        found = await self._database.fetch_one(
            _Redeemed, _REDEEM_SIGN_IN_LINK, token_hash=hash_of(token)
        )
        return found.user_id if found else None
