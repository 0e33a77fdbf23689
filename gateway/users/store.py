"""Users as they are stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from psycopg.errors import UniqueViolation

from gateway.contract.scopes import UserRole
from gateway.database.pool import Count, Database
from gateway.database.queries import query
from gateway.database.repeating import until_answered
from gateway.errors import Conflict
from gateway.instances.tokens import Sealed

_ADD_USER = query("users", "add_user")
_FIND_USER = query("users", "find_user")
_FIND_USER_BY_EMAIL = query("users", "find_user_by_email")
_FIND_OPERATOR = query("users", "find_operator")
_LIST_USERS = query("users", "list_users")
_SEARCH_USERS = query("users", "search_users")
_COUNT_USERS = query("users", "count_users")
_SET_DISABLED = query("users", "set_disabled")
_SET_ROLE = query("users", "set_role")
_SET_PASSWORD = query("users", "set_password")
_REPLACE_PASSWORD_HASH = query("users", "replace_password_hash")
_SET_PROFILE = query("users", "set_profile")
_SET_TOTP = query("users", "set_totp")
_TAKE_TOTP_STEP = query("users", "take_totp_step")

MAX_EMAIL_LENGTH: Final = 254
Language = Literal["pt-BR", "en", "es"]


@dataclass(frozen=True, slots=True)
class User:
    """A person who may sign in; `account_id` is None for operators."""

    id: str
    account_id: str | None
    email: str
    name: str
    role: str
    password_hash: str | None
    totp_ciphertext: bytes | None
    totp_key_id: str | None
    language: str
    disabled_at: datetime | None
    created_at: datetime

    @property
    def second_factor(self) -> Sealed | None:
        if self.totp_ciphertext is None or self.totp_key_id is None:
            return None
        return Sealed(self.totp_key_id, self.totp_ciphertext)


@dataclass(frozen=True, slots=True)
class ListedUser:
    """A user as the operator lists it."""

    id: str
    email: str
    name: str
    role: str
    language: str
    disabled_at: datetime | None
    created_at: datetime
    account_name: str | None
    has_password: bool
    has_totp: bool
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    """A user to be added; the password is hashed already."""

    id: str
    account_id: str | None
    email: str
    name: str
    role: UserRole
    password_hash: str | None
    language: Language


class Users:
    """Reads and changes users; every method may raise DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user: NewUser) -> None:
        """Adds a user.

        Raises:
            Conflict: another user has this e-mail in any capitals.
        """

        async def write(_is_repeated: bool) -> None:  # noqa: FBT001 - see until_answered
            try:
                await self._database.execute(
                    _ADD_USER,
                    id=user.id,
                    account_id=user.account_id,
                    email=user.email,
                    name=user.name,
                    role=user.role.value,
                    password_hash=user.password_hash,
                    language=user.language,
                )
            except UniqueViolation:
                raise Conflict(f"There is a user {user.email} already") from None

        await until_answered(write)

    async def find(self, user_id: str) -> User | None:
        return await self._database.fetch_one(User, _FIND_USER, id=user_id)

    async def find_by_email(self, email: str) -> User | None:
        """Returns the user of an e-mail in any capitals; None also for what can be none."""
        if len(email) > MAX_EMAIL_LENGTH or not (email.isascii() and email.isprintable()):
            email = ""
        return await self._database.fetch_one(User, _FIND_USER_BY_EMAIL, email=email)

    async def find_operator(self) -> User | None:
        """Returns the first operator who is not disabled."""
        return await self._database.fetch_one(User, _FIND_OPERATOR)

    async def list_all(self) -> list[ListedUser]:
        return await self._database.fetch_all(ListedUser, _LIST_USERS)

    async def search(
        self, text: str, *, account_id: str | None, limit: int, offset: int
    ) -> tuple[list[ListedUser], int]:
        """Returns a page of users by e-mail, and how many fit.

        Args:
            text: in e-mail, name or name of the account.
            account_id: only users of this account; None: of all, operators too.
            limit: how many.
            offset: after how many.
        """
        where = {"text": text.strip(), "account_id": account_id}
        found = await self._database.fetch_all(
            ListedUser, _SEARCH_USERS, limit=limit, offset=offset, **where
        )
        total = await self._database.fetch_one(Count, _COUNT_USERS, **where)
        return found, total.count if total else 0

    async def set_disabled(self, user_id: str, *, disabled: bool) -> None:
        """Disables a user, whose sessions end, or allows to sign in again."""
        await self._database.execute(_SET_DISABLED, id=user_id, disabled=disabled)

    async def set_role(self, user_id: str, role: UserRole) -> None:
        """Sets the role of a user who has an account."""
        await self._database.execute(_SET_ROLE, id=user_id, role=role.value)

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Sets the password and ends all sessions of the user."""
        await self._database.execute(_SET_PASSWORD, id=user_id, password_hash=password_hash)

    async def replace_password_hash(self, user: User, password_hash: str) -> None:
        """Stores the hash of the same password with other costs."""
        await self._database.execute(
            _REPLACE_PASSWORD_HASH,
            id=user.id,
            previous=user.password_hash,
            password_hash=password_hash,
        )

    async def set_profile(self, user_id: str, *, name: str, language: Language) -> None:
        """Sets what a user decides about himself."""
        await self._database.execute(_SET_PROFILE, id=user_id, name=name, language=language)

    async def set_second_factor(self, user_id: str, sealed: Sealed | None) -> None:
        """Sets the second factor, or removes it."""
        await self._database.execute(
            _SET_TOTP,
            id=user_id,
            ciphertext=sealed.ciphertext if sealed else None,
            key_id=sealed.key_id if sealed else None,
        )

    async def take_step(self, user_id: str, step: int) -> bool:
        """Uses the code of a time step up; returns False if it was used, or a later one."""
        return bool(await self._database.execute(_TAKE_TOTP_STEP, id=user_id, step=step))
