"""Users sign in and out: with a password and a code, or with a link from this machine."""

from dataclasses import dataclass

from gateway.administration.audit import Audit, Caller, Credential, Subject
from gateway.contract.scopes import SCOPES_OF_ROLE
from gateway.errors import InvalidSettings, SignInFailed
from gateway.observability.logging import logger
from gateway.users.passwords import Passwords
from gateway.users.second_factor import SecondFactor
from gateway.users.sessions import UserSession, UserSessions
from gateway.users.sign_in_delays import SignInDelays
from gateway.users.sign_in_links import SignInLinks
from gateway.users.store import User, Users


@dataclass(frozen=True, slots=True)
class SignIn:
    """Opens and ends sessions; each act is in the audit log with its user.

    A failure says the same whatever is wrong, and takes the same steps for a login without a user.
    """

    users: Users
    sessions: UserSessions
    links: SignInLinks
    delays: SignInDelays
    passwords: Passwords
    second_factor: SecondFactor
    audit: Audit

    async def with_password(
        self, email: str, password: str, code: str, *, address: str | None
    ) -> str:
        """Returns the token of a new session; *code* is ignored for who has no second factor.

        Raises:
            SignInFailed: the e-mail, the password or the code is wrong, or the user is disabled.
            TooManyRequests: there were too many failures.
        """
        attempt = await self.delays.begin(email, address)
        user = await self.users.find_by_email(email.strip())
        async with self.audit.noting("SignIn", *_noted(Credential.PASSWORD, user, address)):
            known = await self._checked(user, password, code)
            token = await self.sessions.start(known.id, address)
        await self.delays.succeed(attempt)
        await self._renew_hash(known, password)
        return token

    async def issue_link(self, user_id: str) -> str:
        """Returns the token of a link that signs a user in once, from this machine."""
        return await self.links.issue(user_id)

    async def redeem_link(
        self, token: str, *, is_on_this_machine: bool, address: str | None
    ) -> str:
        """Returns the token of a new session, and uses the link up.

        Args:
            token: of the link.
            is_on_this_machine: no proxy forwarded the request, and it came from this machine.
            address: of the caller.

        Raises:
            SignInFailed: the link is unknown, used or too old, its user is disabled, or the
                request comes from elsewhere, which leaves the link as it is.
        """
        if not is_on_this_machine:
            raise SignInFailed
        user_id = await self.links.redeem(token)
        user = await self.users.find(user_id) if user_id else None
        async with self.audit.noting("SignIn", *_noted(Credential.SIGN_IN_LINK, user, address)):
            if user is None or user.disabled_at:
                raise SignInFailed
            return await self.sessions.start(user.id, address)

    async def set_password_by_link(self, token: str, password: str, *, address: str | None) -> None:
        """Sets the password of the user of a link, uses the link up, and ends the sessions.

        Raises:
            SignInFailed: the link is unknown, used or too old, or its user is disabled.
            InvalidRequest: the password is too short; the link stays.
        """
        # A stranger without a link costs no hash.
        found = await self.links.find_for_password(token)
        user = await self.users.find(found) if found else None
        if user is None or user.disabled_at:
            raise SignInFailed
        password_hash = await self.passwords.hash(password)
        caller, subject = _noted(Credential.PASSWORD_LINK, user, address)
        async with self.audit.noting("SetOwnPassword", caller, subject):
            if await self.links.redeem_for_password(token) != user.id:
                raise SignInFailed
            await self.users.set_password(user.id, password_hash)

    async def sign_out(self, session: UserSession, *, address: str | None) -> None:
        """Ends one session."""
        caller = caller_of_session(session, address)
        async with self.audit.noting("SignOut", caller, Subject(session.account_id)):
            await self.sessions.end(session.token_hash)

    async def sign_out_everywhere(self, session: UserSession, *, address: str | None) -> int:
        """Ends every session of the user, and with them their streams; returns their number."""
        caller = caller_of_session(session, address)
        async with self.audit.noting("SignOutEverywhere", caller, Subject(session.account_id)):
            return await self.sessions.end_all(session.user_id)

    async def _checked(self, user: User | None, password: str, code: str) -> User:
        may_sign_in = user is not None and user.disabled_at is None
        password_hash = user.password_hash if user and may_sign_in else None
        if not await self.passwords.matches(password, password_hash) or user is None:
            raise SignInFailed
        if not await self._is_right_code(user, code):
            raise SignInFailed
        return user

    async def _is_right_code(self, user: User, code: str) -> bool:
        sealed = user.second_factor
        if sealed is None:
            return True
        try:
            step = self.second_factor.step_of(code, sealed)
        except InvalidSettings:
            # The answer is that of a wrong code: another one would say that the password is right.
            logger.error("second_factor_unreadable", user_id=user.id, key_id=sealed.key_id)
            return False
        return step is not None and await self.users.take_step(user.id, step)

    async def _renew_hash(self, user: User, password: str) -> None:
        """Stores the hash with today's costs, which an earlier release may have set lower."""
        if user.password_hash and self.passwords.is_outdated(user.password_hash):
            await self.users.replace_password_hash(user, await self.passwords.hash(password))


def caller_of_session(session: UserSession, address: str | None) -> Caller:
    """Returns who acts in a session, with the rights of his role."""
    return Caller(
        Credential.SESSION,
        user=session.email,
        address=address,
        scopes=SCOPES_OF_ROLE[session.role],
        account_id=session.account_id,
    )


def _noted(
    credential: Credential, user: User | None, address: str | None
) -> tuple[Caller, Subject]:
    """Returns caller and subject for the audit log; a login without a user is not noted."""
    caller = Caller(
        credential, user=user.email if user else None, address=address, scopes=frozenset()
    )
    return caller, Subject(user.account_id if user else None)
