"""Finds the instance or account of a request; an error never says which credential is wrong."""

from collections.abc import Iterator, Sequence

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request

from gateway.api.base_url import base_url_of
from gateway.api.client_address import Network, check_address, client_address
from gateway.api.headers import header_of
from gateway.api.request_limits import RequestLimits
from gateway.errors import (
    ClientTokenMissing,
    Forbidden,
    InvalidRequest,
    Unauthorized,
    UnknownInstance,
)
from gateway.instances.accounts import (
    MAX_INSTANCES_BY_CLIENT_TOKEN,
    Account,
    Accounts,
    account_of,
)
from gateway.instances.api_keys import KEY_PREFIX, ApiKey, ApiKeys, is_api_key
from gateway.instances.base_urls import BaseUrl
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import hash_of, matches

_NO_INSTANCE_HASH = hash_of("an instance that does not exist")
_KEY_BEGINNING = KEY_PREFIX.encode()


class Authenticator:
    """Checks the tokens, the address and the rate of requests.

    An API key binds whatever else a request shows: where there is one, only its rights count.
    """

    def __init__(self, limits: RequestLimits, trusted_proxies: Sequence[Network]) -> None:
        self._limits, self._trusted_proxies = limits, trusted_proxies

    def address_of(self, request: HTTPConnection) -> str | None:
        """Returns the caller's IP address, as trusted proxies forward it."""
        address = client_address(request, self._trusted_proxies)
        return None if address is None else str(address)

    def base_url_of(self, request: Request) -> BaseUrl | None:
        """Returns the base URL that the caller used, as trusted proxies forward it."""
        return base_url_of(request, self._trusted_proxies)

    def check_address(self, request: HTTPConnection, allowed: Sequence[str]) -> None:
        """Raises Forbidden if the caller's address is in none of these networks; none allow all."""
        check_address(request, allowed, self._trusted_proxies)

    def count(self, account_id: str) -> None:
        """Counts a request of an account; raises TooManyRequests over its rate limit."""
        self._limits.count(account_id=account_id)

    async def instance(
        self,
        request: Request,
        accounts: Accounts,
        instances: Instances,
        instance_id: str,
        token: str,
    ) -> tuple[Instance, ApiKey | None]:
        """Returns the instance of a token or API key in the path, and the key that binds.

        Raises:
            UnknownInstance: the id, the token or the key is wrong, or the key does not reach there.
            Unauthorized: a key in a header is wrong.
            Forbidden: the caller's address or Client-Token is not allowed.
            TooManyRequests: the account or the instance is over its rate limit.
        """
        instance, key = await _find_instance(
            request.headers, accounts.keys, instances, instance_id, token
        )
        self.check_address(request, instance.allowed_addresses)
        if key is None:
            check_client_token(instance, request.headers)
        else:
            self._admit(key, request, accounts)
        self._limits.count(account_id=instance.account_id, instance_id=instance.id)
        return instance, key

    async def account(self, request: HTTPConnection, accounts: Accounts) -> Account:
        """Returns the account of a partner token, Client-Token or API key.

        Raises:
            Unauthorized: no token is given, or it is wrong.
            Forbidden: the caller's address is not allowed, or the Client-Token may not manage.
            TooManyRequests: the account is over its rate limit.
        """
        account = await self.find_account(request, accounts)
        self.count(account.id)
        return account

    async def named_instance(
        self,
        account: Account,
        instances: Instances,
        named: str,
        *,
        field: str,
        among: frozenset[str] = frozenset(),
    ) -> Instance:
        """Returns the instance that an account's caller names by its id or its name.

        Args:
            account: the account of the caller.
            instances: finds it.
            named: the id or the name.
            field: the field of the caller that holds it, for errors.
            among: the only instances that the caller may know of; empty sets no limit.

        Raises:
            NotFound: the account has no such instance.
            Conflict: several instances have this name; the text has their ids.
            TooManyRequests: the instance is over its rate limit.
        """
        instance = await instances.find_named(account.id, named, field=field, among=among)
        self._limits.count_instance(instance.id)
        return instance

    async def instance_of_account(
        self,
        request: Request,
        accounts: Accounts,
        instances: Instances,
        instance_id: str,
        token: str,
    ) -> tuple[Account, Instance]:
        """Returns the caller's account and an instance of it; raises as both methods above."""
        if is_api_key(token.strip()) or _shows_key(request.headers):
            instance, key = await self.instance(request, accounts, instances, instance_id, token)
            if key is None:  # a token of the instance that looks like a key
                raise Unauthorized
            return account_of(key), instance
        account = await self.find_account(request, accounts)
        instance = await find_by_token(instances, instance_id, token)
        if instance.account_id != account.id:
            raise UnknownInstance
        self._limits.count(account_id=account.id, instance_id=instance.id)
        return account, instance

    async def find_account(self, request: HTTPConnection, accounts: Accounts) -> Account:
        """Returns the account as `account` does, without counting the request."""
        shown = list(_tokens(request.headers))
        keys = {token for token in shown if is_api_key(token)}
        if len(keys) > 1:
            raise InvalidRequest("Two API keys are given: give one")
        for token in keys or shown:
            if found := await accounts.find_by_token(token):
                return await self.allowed(found, request, accounts)
        raise Unauthorized

    async def allowed(
        self, account: Account, request: HTTPConnection, accounts: Accounts
    ) -> Account:
        """Returns the account if its caller may use it from where he is.

        Raises:
            Forbidden: the address is not allowed, or the Client-Token may not manage.
        """
        self.check_address(request, account.allowed_addresses)
        if account.key:
            self._admit(account.key, request, accounts)
        elif account.is_found_by_client_token:
            await _check_client_token_manages(account, accounts)
        return account

    def _admit(self, key: ApiKey, request: HTTPConnection, accounts: Accounts) -> None:
        self.check_address(request, key.networks)
        if accounts.keys.uses.is_due(key.id):
            accounts.keys.uses.note(key.id, self.address_of(request))


async def _check_client_token_manages(account: Account, accounts: Accounts) -> None:
    if not account.client_token_manages:
        raise Forbidden(
            "The Client-Token of this account does not manage: use the partner token or an API key"
        )
    if not await accounts.is_small(account):
        raise Forbidden(
            f"A Client-Token manages at most {MAX_INSTANCES_BY_CLIENT_TOKEN} instances: "
            "use the partner token"
        )


async def _find_instance(
    headers: Headers, keys: ApiKeys, instances: Instances, instance_id: str, token: str
) -> tuple[Instance, ApiKey | None]:
    instance_id, token = instance_id.strip(), token.strip()  # blanks are no part of either
    instance, is_right = await _match(instances, instance_id, token)
    in_path = None if is_right else await keys.find(token)
    if instance is None or not (is_right or _reaches(in_path, instance)):
        raise UnknownInstance
    if not _shows_key(headers):
        return instance, in_path
    shown = {each for each in _tokens(headers) if is_api_key(each)} | (
        {token} if in_path else set()
    )
    if len(shown) > 1:
        raise InvalidRequest("Two API keys are given: give one")
    key = in_path
    for each in shown:
        key = await keys.find(each)
        if key is None:
            raise Unauthorized
    if key is not None and not _reaches(key, instance):
        raise UnknownInstance
    return instance, key


async def _match(
    instances: Instances, instance_id: str, token: str
) -> tuple[Instance | None, bool]:
    """Returns the instance, and whether this is its token.

    An unknown id compares a hash too, so that the time taken does not show which ids exist.
    """
    instance = None if "\x00" in instance_id else await instances.find(instance_id)
    return instance, matches(token, instance.token_hash if instance else _NO_INSTANCE_HASH)


def _reaches(key: ApiKey | None, instance: Instance) -> bool:
    return key is not None and key.account_id == instance.account_id and key.may_use(instance.id)


async def find_by_token(instances: Instances, instance_id: str, token: str) -> Instance:
    """Returns the instance of this id and token.

    Raises:
        UnknownInstance: the id or the token is wrong.
    """
    instance, is_right = await _match(instances, instance_id.strip(), token.strip())
    if instance is None or not is_right:
        raise UnknownInstance
    return instance


def check_client_token(instance: Instance, headers: Headers, *, required: bool = False) -> None:
    """Raises Forbidden if a Client-Token is required and the headers lack the right one."""
    if not (required or instance.client_token_required):
        return
    given = header_of(headers, b"client-token")
    if not given:
        raise ClientTokenMissing
    if instance.client_token_hash is None or not matches(given, instance.client_token_hash):
        raise Forbidden("Client-Token not allowed")


def shows_token(headers: Headers) -> bool:
    """Returns whether a request shows a token of an account, right or wrong."""
    return any(_tokens(headers))


def _shows_key(headers: Headers) -> bool:
    """Returns whether a header may hold an API key; each send asks this."""
    return any(_KEY_BEGINNING in value for _name, value in headers.raw)


def _tokens(headers: Headers) -> Iterator[str]:
    scheme, *rest = header_of(headers, b"authorization").split(maxsplit=1) or [""]
    if scheme.lower() == "bearer" and rest:
        yield rest[0]
    for name in (b"partner-token", b"client-token"):
        if token := header_of(headers, name):
            yield token
