"""What users change about themselves: name, language, password, second factor and sessions."""

from collections.abc import Callable
from dataclasses import dataclass

from gateway.administration.audit import Audit, Caller, Subject
from gateway.administration.sign_in import SignIn
from gateway.administration.user_admin import UserAdmin
from gateway.errors import InvalidRequest, Unauthorized
from gateway.users.sessions import ListedSession, UserSession
from gateway.users.store import Language, User


@dataclass(frozen=True, slots=True)
class Profiles:
    """Changes users in their own sessions; each change is in the audit log."""

    sign_in: SignIn
    admin_for: Callable[[Caller], UserAdmin]

    async def find(self, session: UserSession) -> User:
        """Returns the user of a session; raises Unauthorized where it was deleted meanwhile."""
        user = await self.sign_in.users.find(session.user_id)
        if user is None:
            raise Unauthorized
        return user

    async def set_profile(
        self, session: UserSession, caller: Caller, *, name: str, language: Language
    ) -> None:
        """Sets name and language; raises InvalidRequest for a name that is too long."""
        await self.admin_for(caller).set_profile(session.email, name=name, language=language)

    async def change_password(
        self, session: UserSession, caller: Caller, *, current: str, new: str
    ) -> str:
        """Sets a password, ends every session, and returns the token of a new one.

        Raises:
            InvalidRequest: the current password is wrong, or the new one is too short.
            TooManyRequests: the current password was wrong too often.
        """
        await self._check_password(session, caller, current)
        await self.admin_for(caller).set_password(session.email, new)
        return await self.sign_in.sessions.start(session.user_id, caller.address)

    def new_second_factor(self, caller: Caller) -> str:
        """Returns a secret for the app of the user; nothing is stored yet."""
        return self.admin_for(caller).new_second_factor()

    async def set_second_factor(
        self, session: UserSession, caller: Caller, *, secret: str, code: str, password: str
    ) -> None:
        """Stores a second factor, once a code shows that the app of the user has it.

        Raises:
            InvalidRequest: the code or the password is wrong.
            TooManyRequests: the password was wrong too often.
        """
        await self._check_password(session, caller, password)
        await self.admin_for(caller).set_second_factor(session.email, secret, code)

    async def remove_second_factor(
        self, session: UserSession, caller: Caller, *, password: str
    ) -> None:
        """Lets the password alone sign in again; raises as `set_second_factor`."""
        await self._check_password(session, caller, password)
        await self.admin_for(caller).remove_second_factor(session.email)

    async def sessions(self, session: UserSession) -> list[ListedSession]:
        return await self.sign_in.sessions.list_of(session.user_id)

    async def end_session(self, session: UserSession, caller: Caller, *, session_id: str) -> bool:
        """Ends another session of the user; returns whether there was one."""
        audit: Audit = self.sign_in.audit
        async with audit.noting("EndSession", caller, Subject(session.account_id)):
            return await self.sign_in.sessions.end_of(session.user_id, _hash_named(session_id))

    async def _check_password(self, session: UserSession, caller: Caller, password: str) -> None:
        """Checks the password where there is one: a session may be in the hands of a stranger."""
        user = await self.find(session)
        if user.password_hash is None:
            return
        attempt = await self.sign_in.delays.begin(user.email, caller.address)
        if not await self.sign_in.passwords.matches(password, user.password_hash):
            raise InvalidRequest("The current password is wrong")
        await self.sign_in.delays.succeed(attempt)


def _hash_named(session_id: str) -> bytes:
    try:
        return bytes.fromhex(session_id)
    except ValueError:
        raise InvalidRequest("There is no such session") from None
