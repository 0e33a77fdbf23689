"""Who may follow the events of an account: at the start of a stream, and while it is open."""

from collections.abc import Awaitable, Callable
from functools import partial
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from gateway.api.authentication import Authenticator, shows_token
from gateway.api.callers import caller_of_account
from gateway.contract.scopes import SCOPES_OF_ROLE, ApiScope
from gateway.errors import Forbidden, InvalidRequest, Unauthorized
from gateway.instances.accounts import Account
from gateway.operations.services import Services
from gateway.users.sessions import SESSION_COOKIE
from gateway.webhooks.stream import StreamAccess

Finder = Callable[[], Awaitable[Account]]


class StreamCallers:
    """Finds the account of a stream, by a token, an API key, a ticket or the session of a user.

    The scope `read` is needed. The same check runs again while the stream is open, when Postgres
    notifies of a change of the account, its keys, its users or their sessions.
    """

    def __init__(self, authenticator: Authenticator) -> None:
        self._authenticator = authenticator

    async def find(
        self, connection: HTTPConnection, services: Services
    ) -> tuple[Account, StreamAccess]:
        """Returns the account of a token in a header, else of a session in a cookie.

        Raises:
            Unauthorized: nothing is shown, or it is wrong.
            Forbidden: the caller may not follow, or not from its address.
            TooManyRequests: the account is over its rate limit.
        """
        cookie = connection.cookies.get(SESSION_COOKIE)
        if cookie and not shows_token(connection.headers):
            return await self._opened(partial(self._of_session, connection, services, cookie))
        return await self._opened(partial(self._of_token, connection, services))

    async def redeem(
        self, connection: HTTPConnection, services: Services, ticket: str
    ) -> tuple[Account, StreamAccess]:
        """Returns the account of a ticket; raises as `find`, also for one that was used."""
        token_hash = await services.accounts.redeem_ticket(ticket)
        if token_hash is None:
            raise Unauthorized
        return await self._opened(partial(self._of_hash, connection, services, token_hash))

    async def _opened(self, find: Finder) -> tuple[Account, StreamAccess]:
        account = await find()
        self._authenticator.count(account.id)
        return account, StreamAccess(partial(_finds, find, account.id))

    async def _of_token(self, connection: HTTPConnection, services: Services) -> Account:
        account = await self._authenticator.find_account(connection, services.accounts)
        return _with_rights(account)

    async def _of_hash(
        self, connection: HTTPConnection, services: Services, token_hash: bytes
    ) -> Account:
        found = await services.accounts.find_by_any_hash(token_hash)
        if found is None:
            raise Unauthorized
        account = await self._authenticator.allowed(found, connection, services.accounts)
        return _with_rights(account)

    async def _of_session(
        self, connection: HTTPConnection, services: Services, token: str
    ) -> Account:
        _check_own_page(connection)
        session = await services.sign_in.sessions.find(token)
        if session is None or session.account_id is None:
            raise Unauthorized
        if ApiScope.READ not in SCOPES_OF_ROLE[session.role]:
            raise Forbidden("Your role may not follow events")
        account = await services.accounts.find(session.account_id)
        if account is None:
            raise Unauthorized
        self._authenticator.check_address(connection, account.allowed_addresses)
        return account


def _check_own_page(connection: HTTPConnection) -> None:
    """Refuses pages of other origins, also listed ones: a browser sends the cookie for them.

    Raises:
        Forbidden: the page is of another host.
    """
    origin = connection.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != connection.headers.get("host"):
        raise Forbidden("A session is for pages of this gateway: use an API key")


def _with_rights(account: Account) -> Account:
    """Returns the account; raises Forbidden where its caller may not read all of its events."""
    caller = caller_of_account(account, None)
    caller.require(ApiScope.READ)
    caller.require_account(account.id)
    return account


async def _finds(find: Finder, account_id: str) -> bool:
    """Returns whether the caller of an open stream may still follow the account."""
    try:
        return (await find()).id == account_id
    except (Unauthorized, Forbidden, InvalidRequest):
        return False
