"""Ids, tokens and addresses become an Instance or an Account, or an error that tells nothing."""

from collections.abc import Iterator, Sequence

from starlette.datastructures import Headers
from starlette.requests import Request

from gateway.api.base_url import base_url_of
from gateway.api.client_address import Network, check_address, client_address
from gateway.api.request_limits import RequestLimits
from gateway.errors import Forbidden, Unauthorized, UnknownInstance
from gateway.instances.accounts import MAX_INSTANCES_BY_CLIENT_TOKEN, Account, Accounts
from gateway.instances.base_urls import BaseUrl
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import hash_of, matches

_NOBODY = hash_of("an instance that does not exist")


class Authenticator:
    """Lets callers in: who they are, from where they call, and how often."""

    def __init__(self, limits: RequestLimits, trusted_proxies: Sequence[Network]) -> None:
        self._limits, self._trusted_proxies = limits, trusted_proxies

    def address_of(self, request: Request) -> str | None:
        """From where a request comes, seen past the proxies that are trusted."""
        address = client_address(request, self._trusted_proxies)
        return None if address is None else str(address)

    def base_url_of(self, request: Request) -> BaseUrl | None:
        """At which address the caller reached the gateway, seen past trusted proxies."""
        return base_url_of(request, self._trusted_proxies)

    async def instance(
        self, request: Request, instances: Instances, instance_id: str, token: str
    ) -> Instance:
        """The instance a caller may act for.

        Raises:
            UnknownInstance: the id or the token is wrong.
            Forbidden: the caller's address or Client-Token is not allowed.
            TooManyRequests: there were too many already.
        """
        instance = await find_by_token(instances, instance_id, token)
        check_address(request, instance.allowed_addresses, self._trusted_proxies)
        check_client_token(instance, request.headers)
        self._limits.spend(account_id=instance.account_id, instance_id=instance.id)
        return instance

    async def account(self, request: Request, accounts: Accounts) -> Account:
        """The account a caller may manage.

        Raises:
            Unauthorized: no token, or a wrong one.
            Forbidden: the caller's address is not allowed, or a Client-Token is too little.
            TooManyRequests: there were too many already.
        """
        account = await self._account(request, accounts)
        self._limits.spend(account_id=account.id)
        return account

    async def instance_of_account(
        self,
        request: Request,
        accounts: Accounts,
        instances: Instances,
        instance_id: str,
        token: str,
    ) -> Instance:
        """The instance a caller may manage; raises as both of the above."""
        account = await self._account(request, accounts)
        instance = await find_by_token(instances, instance_id, token)
        if instance.account_id != account.id:
            raise UnknownInstance
        self._limits.spend(account_id=account.id, instance_id=instance.id)
        return instance

    async def _account(self, request: Request, accounts: Accounts) -> Account:
        for token in _partner_tokens(request.headers):
            if account := await accounts.find_by_token(token):
                break
        else:
            raise Unauthorized
        check_address(request, account.allowed_addresses, self._trusted_proxies)
        if not account.by_partner_token and not await accounts.is_small(account):
            raise Forbidden(
                f"A Client-Token manages {MAX_INSTANCES_BY_CLIENT_TOKEN} instances at most: "
                "use the partner token"
            )
        return account


async def find_by_token(instances: Instances, instance_id: str, token: str) -> Instance:
    """The instance of this id and token.

    Raises:
        UnknownInstance: one of them is wrong; takes the same steps for both.
    """
    instance = None if "\x00" in instance_id else await instances.find(instance_id)
    right = matches(token, instance.token_hash if instance else _NOBODY)
    if instance is None or not right:
        raise UnknownInstance
    return instance


def check_client_token(instance: Instance, headers: Headers, *, required: bool = False) -> None:
    """Raises Forbidden where a Client-Token is asked for and this is not it."""
    if not (required or instance.client_token_required):
        return
    given = headers.get("client-token")
    if given is None:
        raise Forbidden("null not allowed")
    if instance.client_token_hash is None or not matches(given, instance.client_token_hash):
        raise Forbidden("Client-Token not allowed")


def _partner_tokens(headers: Headers) -> Iterator[str]:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        yield token.strip()
    if token := headers.get("client-token", ""):
        yield token
