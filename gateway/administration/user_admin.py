"""The operator's commands on users."""

import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Final

from gateway.administration.audit import Audit, Caller, Subject
from gateway.contract.scopes import UserRole
from gateway.errors import InvalidRequest, NotFound
from gateway.instances.tokens import TokenVault, new_id
from gateway.randomness import RandomBytes
from gateway.users.passwords import Passwords
from gateway.users.second_factor import SecondFactor, new_secret
from gateway.users.sign_in_links import SignInLinks
from gateway.users.store import MAX_EMAIL_LENGTH, Language, ListedUser, NewUser, User, Users

_EMAIL = re.compile(r"[!-?A-~]+@[!-?A-~]+")
_MAX_NAME_LENGTH = 255
LOCAL_OPERATOR: Final = "operator@localhost"


@dataclass(frozen=True, slots=True)
class UserAdmin:
    """Makes and changes users; each change is in the audit log."""

    users: Users
    passwords: Passwords
    second_factor: SecondFactor
    vault: TokenVault
    random_bytes: RandomBytes
    audit: Audit
    caller: Caller
    links: SignInLinks

    async def create(
        self,
        email: str,
        *,
        name: str,
        role: UserRole,
        account_id: str | None,
        language: Language,
        password: str | None,
    ) -> str:
        """Makes a user and returns the id; without a password only a link signs in.

        Raises:
            InvalidRequest: the e-mail, name or password has a wrong form, or an operator has an
                account, or another role has none.
            Conflict: another user has this e-mail.
        """
        email, name = email.strip(), name.strip() or email.strip()
        _check_names(email, name)
        if (role is UserRole.OPERATOR) != (account_id is None):
            raise InvalidRequest(
                "role: an operator has no account, every other role has one (--account)"
            )
        password_hash = None if password is None else await self.passwords.hash(password)
        user = NewUser(
            id=new_id(self.random_bytes),
            account_id=account_id,
            email=email,
            name=name,
            role=role,
            password_hash=password_hash,
            language=language,
        )
        async with self._noting("CreateUser", account_id, email):
            await self.users.add(user)
        return user.id

    async def ensure_operator(self) -> User:
        """Returns an operator; makes one without a password where there is none yet."""
        if found := await self.users.find_operator():
            return found
        await self.create(
            LOCAL_OPERATOR,
            name="Operator",
            role=UserRole.OPERATOR,
            account_id=None,
            language="pt-BR",
            password=None,
        )
        return await self.find(LOCAL_OPERATOR)

    async def list_all(self) -> list[ListedUser]:
        return await self.users.list_all()

    async def search(
        self, text: str = "", *, account_id: str | None = None, limit: int = 50, offset: int = 0
    ) -> tuple[list[ListedUser], int]:
        """Returns a page of users by e-mail, and how many fit; see `Users.search`."""
        return await self.users.search(text, account_id=account_id, limit=limit, offset=offset)

    async def issue_password_link(self, email: str) -> str:
        """Returns a token with which the user sets a password, once and within a day.

        The password before stays until then. A second factor stays.
        """
        user = await self.find(email)
        if user.disabled_at:
            raise InvalidRequest("The user is disabled: allow to sign in first")
        async with self._noting("IssuePasswordLink", user.account_id, user.email):
            return await self.links.issue_for_password(user.id)

    async def find(self, email: str) -> User:
        """Returns the user of this e-mail in any capitals; raises NotFound."""
        found = await self.users.find_by_email(email.strip())
        if found is None:
            raise NotFound(f"There is no user {email!r}: see `gateway users list`")
        return found

    async def set_disabled(self, email: str, *, disabled: bool) -> None:
        """Disables a user and ends the sessions, or allows to sign in again."""
        user = await self.find(email)
        async with self._noting(
            "DisableUser" if disabled else "EnableUser", user.account_id, user.email
        ):
            await self.users.set_disabled(user.id, disabled=disabled)

    async def set_role(self, email: str, role: UserRole) -> None:
        """Gives a user of an account another role; what is open has the new rights at once.

        Raises:
            InvalidRequest: the user is an operator, or would become one.
        """
        user = await self.find(email)
        if UserRole.OPERATOR in {role, user.role}:
            raise InvalidRequest("role: an operator has no account: create another user instead")
        given = {"role": role.value}
        async with self._noting("SetUserRole", user.account_id, user.email, given):
            await self.users.set_role(user.id, role)

    async def set_password(self, email: str, password: str) -> None:
        """Sets the password and ends the sessions; raises InvalidRequest for one too short."""
        user = await self.find(email)
        password_hash = await self.passwords.hash(password)
        async with self._noting("SetUserPassword", user.account_id, user.email):
            await self.users.set_password(user.id, password_hash)

    async def set_profile(self, email: str, *, name: str, language: Language) -> None:
        """Sets the name and the language; raises InvalidRequest for a name that is too long."""
        user, name = await self.find(email), name.strip() or email
        _check_names(user.email, name)
        async with self._noting("SetProfile", user.account_id, user.email):
            await self.users.set_profile(user.id, name=name, language=language)

    def new_second_factor(self) -> str:
        """Returns a secret, which `set_second_factor` stores."""
        return new_secret(self.random_bytes)

    async def set_second_factor(self, email: str, secret: str, code: str) -> None:
        """Stores a second factor, once a code shows that the app of the user has it.

        Raises:
            InvalidRequest: the code is wrong.
        """
        user, sealed = await self.find(email), self.vault.seal(secret)
        if self.second_factor.step_of(code, sealed) is None:
            raise InvalidRequest("The code is wrong: nothing was changed")
        async with self._noting("SetSecondFactor", user.account_id, user.email):
            await self.users.set_second_factor(user.id, sealed)

    async def remove_second_factor(self, email: str) -> None:
        user = await self.find(email)
        async with self._noting("RemoveSecondFactor", user.account_id, user.email):
            await self.users.set_second_factor(user.id, None)

    def _noting(
        self,
        act: str,
        account_id: str | None,
        email: str,
        given: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[None]:
        given = {"user": email, **(given or {})}
        return self.audit.noting(act, self.caller, Subject(account_id), given=given)


def _check_names(email: str, name: str) -> None:
    if len(email) > MAX_EMAIL_LENGTH or not _EMAIL.fullmatch(email):
        raise InvalidRequest("e-mail: must be of the form name@example.com")
    if len(name) > _MAX_NAME_LENGTH or not name.isprintable():
        raise InvalidRequest(f"name: must have at most {_MAX_NAME_LENGTH} printable characters")
