"""Sessions of users who signed in: only the hash of a session's token is stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.contract.scopes import UserRole
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import SignInFailed
from gateway.instances.tokens import hash_of
from gateway.randomness import RandomBytes

_START_SESSION = query("users", "start_session")
_FIND_SESSION = query("users", "find_session")
_NOTE_SESSION_SEEN = query("users", "note_session_seen")
_END_SESSION = query("users", "end_session")
_END_SESSIONS = query("users", "end_sessions")
_LIST_SESSIONS = query("users", "list_sessions")
_END_SESSION_OF = query("users", "end_session_of")

SESSION_COOKIE: Final = "gateway_session"
MAX_SESSION_SECONDS: Final = 7 * 86_400.0
IDLE_SECONDS: Final = 12 * 3_600.0
_SEEN_SECONDS = 60.0
_TOKEN_BYTES = 32
_TOKEN_LENGTH = 2 * _TOKEN_BYTES


@dataclass(frozen=True, slots=True)
class UserSession:
    """A session and its user as he is now; `account_id` is None for operators."""

    user_id: str
    account_id: str | None
    email: str
    name: str
    role: UserRole
    language: str
    token_hash: bytes


@dataclass(frozen=True, slots=True)
class ListedSession:
    """An open session as its user lists it."""

    token_hash: bytes
    address: str | None
    created_at: datetime
    last_seen_at: datetime

    @property
    def id(self) -> str:
        return self.token_hash.hex()


@dataclass(frozen=True, slots=True)
class _Row:
    user_id: str
    account_id: str | None
    email: str
    name: str
    role: str
    language: str
    token_hash: bytes
    is_due: bool

    def as_session(self) -> UserSession:
        return UserSession(
            self.user_id,
            self.account_id,
            self.email,
            self.name,
            UserRole(self.role),
            self.language,
            self.token_hash,
        )


class UserSessions:
    """Starts, finds and ends sessions; every method may raise DatabaseUnavailable.

    A session ends after 12 hours without a request, and 7 days after the sign-in at the latest.
    """

    def __init__(self, database: Database, random_bytes: RandomBytes) -> None:
        self._database, self._random_bytes = database, random_bytes

    async def start(self, user_id: str, address: str | None) -> str:
        """Returns the token of a new session, which is shown once.

        Raises:
            SignInFailed: the user was disabled or deleted meanwhile.
        """
        token = self._random_bytes(_TOKEN_BYTES).hex()
        started = await self._database.execute(
            _START_SESSION,
            token_hash=hash_of(token),
            user_id=user_id,
            address=address,
            max_seconds=MAX_SESSION_SECONDS,
        )
        if not started:
            raise SignInFailed
        return token

    async def find(self, token: str, *, is_request: bool = False) -> UserSession | None:
        """Returns the session of a token; None if it ended, or its user is disabled.

        A request of the user keeps it open; a check of an open stream does not.
        """
        if len(token) != _TOKEN_LENGTH:
            return None
        row = await self._database.fetch_one(
            _Row,
            _FIND_SESSION,
            token_hash=hash_of(token),
            idle_seconds=IDLE_SECONDS,
            seen_seconds=_SEEN_SECONDS,
        )
        if row is None:
            return None
        if is_request and row.is_due:
            await self._database.execute(_NOTE_SESSION_SEEN, token_hash=row.token_hash)
        return row.as_session()

    async def end(self, token_hash: bytes) -> None:
        await self._database.execute(_END_SESSION, token_hash=token_hash)

    async def end_all(self, user_id: str) -> int:
        """Ends every session of a user on every node; returns how many there were."""
        return await self._database.execute(_END_SESSIONS, user_id=user_id)

    async def list_of(self, user_id: str) -> list[ListedSession]:
        """Returns the open sessions of a user, the one that was used last first."""
        return await self._database.fetch_all(
            ListedSession, _LIST_SESSIONS, user_id=user_id, idle_seconds=IDLE_SECONDS
        )

    async def end_of(self, user_id: str, token_hash: bytes) -> bool:
        """Ends a session of this user; returns whether there was one."""
        return bool(
            await self._database.execute(_END_SESSION_OF, user_id=user_id, token_hash=token_hash)
        )
