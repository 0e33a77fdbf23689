"""Finds the instance or account of a request; an error never says which credential is wrong."""

from collections.abc import Iterator, Sequence

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request

from gateway.api.base_url import base_url_of
from gateway.api.client_address import Network, check_address, client_address
from gateway.api.request_limits import RequestLimits
from gateway.errors import ClientTokenMissing, Forbidden, Unauthorized, UnknownInstance
from gateway.instances.accounts import MAX_INSTANCES_BY_CLIENT_TOKEN, Account, Accounts
from gateway.instances.base_urls import BaseUrl
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import hash_of, matches

_NO_INSTANCE_HASH = hash_of("an instance that does not exist")


class Authenticator:
    """Checks the tokens, the address and the rate of requests."""

    def __init__(self, limits: RequestLimits, trusted_proxies: Sequence[Network]) -> None:
        self._limits, self._trusted_proxies = limits, trusted_proxies

    def address_of(self, request: Request) -> str | None:
        """Returns the caller's IP address, as trusted proxies forward it."""
        address = client_address(request, self._trusted_proxies)
        return None if address is None else str(address)

    def base_url_of(self, request: Request) -> BaseUrl | None:
        """Returns the base URL that the caller used, as trusted proxies forward it."""
        return base_url_of(request, self._trusted_proxies)

    async def instance(
        self, request: Request, instances: Instances, instance_id: str, token: str
    ) -> Instance:
        """Returns the instance of a token in the path.

        Raises:
            UnknownInstance: the id or the token is wrong.
            Forbidden: the caller's address or Client-Token is not allowed.
            TooManyRequests: the account or the instance is over its rate limit.
        """
        instance = await find_by_token(instances, instance_id, token)
        check_address(request, instance.allowed_addresses, self._trusted_proxies)
        check_client_token(instance, request.headers)
        self._limits.count(account_id=instance.account_id, instance_id=instance.id)
        return instance

    async def account(self, request: HTTPConnection, accounts: Accounts) -> Account:
        """Returns the account of a partner token or Client-Token.

        Raises:
            Unauthorized: no token is given, or it is wrong.
            Forbidden: the caller's address is not allowed, or the account has more instances than
                a Client-Token may manage.
            TooManyRequests: the account is over its rate limit.
        """
        account = await self._account(request, accounts)
        self._limits.count(account_id=account.id)
        return account

    async def named_instance(
        self, account: Account, instances: Instances, named: str, *, field: str
    ) -> Instance:
        """Returns the instance that an account's caller names by its id or its name.

        Raises:
            NotFound: the account has no such instance.
            Conflict: several instances have this name; the text has their ids.
            TooManyRequests: the instance is over its rate limit.
        """
        instance = await instances.find_named(account.id, named, field=field)
        self._limits.count_instance(instance.id)
        return instance

    async def account_of_ticket(
        self, connection: HTTPConnection, accounts: Accounts, ticket: str
    ) -> tuple[Account, bytes]:
        """Returns the account of a ticket, and the hash of the token that asked for it.

        Raises:
            Unauthorized: the ticket is unknown, used or too old, or its token was renewed.
            Forbidden, TooManyRequests: as `account`.
        """
        token_hash = await accounts.redeem_ticket(ticket)
        found = token_hash and await accounts.find_by_token_hash(token_hash)
        if not (token_hash and found):
            raise Unauthorized
        account = await self._allowed(found, connection, accounts)
        self._limits.count(account_id=account.id)
        return account, token_hash

    async def still_finds_hash(
        self, account: Account, connection: HTTPConnection, accounts: Accounts, token_hash: bytes
    ) -> bool:
        """Returns whether the caller of an open WebSocket may still use the account."""
        found = await accounts.find_by_token_hash(token_hash)
        try:
            return (
                found is not None
                and (await self._allowed(found, connection, accounts)).id == account.id
            )
        except Forbidden:
            return False

    async def still_finds(
        self, account: Account, request: HTTPConnection, accounts: Accounts
    ) -> bool:
        """Returns whether the caller of an open response may still use the account."""
        try:
            found = await self._account(request, accounts)
        except (Unauthorized, Forbidden):
            return False
        return found.id == account.id

    async def instance_of_account(
        self,
        request: Request,
        accounts: Accounts,
        instances: Instances,
        instance_id: str,
        token: str,
    ) -> tuple[Account, Instance]:
        """Returns the caller's account and an instance of it; raises as both methods above."""
        account = await self._account(request, accounts)
        instance = await find_by_token(instances, instance_id, token)
        if instance.account_id != account.id:
            raise UnknownInstance
        self._limits.count(account_id=account.id, instance_id=instance.id)
        return account, instance

    async def _account(self, request: HTTPConnection, accounts: Accounts) -> Account:
        for token in _partner_tokens(request.headers):
            if account := await accounts.find_by_token(token):
                return await self._allowed(account, request, accounts)
        raise Unauthorized

    async def _allowed(
        self, account: Account, request: HTTPConnection, accounts: Accounts
    ) -> Account:
        """Returns the account if its caller may use it from where he is.

        Raises:
            Forbidden: the address is not allowed, or the account is too large for a Client-Token.
        """
        check_address(request, account.allowed_addresses, self._trusted_proxies)
        if not account.by_partner_token and not await accounts.is_small(account):
            raise Forbidden(
                f"A Client-Token manages at most {MAX_INSTANCES_BY_CLIENT_TOKEN} instances: "
                "use the partner token"
            )
        return account


async def find_by_token(instances: Instances, instance_id: str, token: str) -> Instance:
    """Returns the instance of this id and token.

    Raises:
        UnknownInstance: the id or the token is wrong. Both cases compare one hash, so that the
            time taken does not show which ids exist.
    """
    instance_id, token = instance_id.strip(), token.strip()  # blanks are no part of either
    instance = None if "\x00" in instance_id else await instances.find(instance_id)
    is_right = matches(token, instance.token_hash if instance else _NO_INSTANCE_HASH)
    if instance is None or not is_right:
        raise UnknownInstance
    return instance


def check_client_token(instance: Instance, headers: Headers, *, required: bool = False) -> None:
    """Raises Forbidden if a Client-Token is required and the headers lack the right one."""
    if not (required or instance.client_token_required):
        return
    given = headers.get("client-token", "").strip()  # blanks are no part of it, RFC 9110 5.5
    if not given:
        raise ClientTokenMissing
    if instance.client_token_hash is None or not matches(given, instance.client_token_hash):
        raise Forbidden("Client-Token not allowed")


def _partner_tokens(headers: Headers) -> Iterator[str]:
    scheme, *rest = headers.get("authorization", "").split(maxsplit=1) or [""]
    if scheme.lower() == "bearer" and rest:
        yield rest[0].rstrip()
    for name in ("partner-token", "client-token"):
        if token := headers.get(name, "").strip():
            yield token
