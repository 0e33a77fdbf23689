"""Who a request is from, and what it may do: for the audit log and the check of its rights."""

from gateway.administration.audit import Caller, Credential
from gateway.contract.scopes import ALL_SCOPES
from gateway.instances.accounts import Account
from gateway.instances.api_keys import ApiKey
from gateway.instances.store import Instance


def caller_of_account(account: Account, address: str | None) -> Caller:
    """Returns the caller that found this account by a token or an API key."""
    if account.key:
        return _caller_of_key(account.key, address)
    is_partner = account.by_partner_token
    return Caller(
        Credential.PARTNER_TOKEN if is_partner else Credential.CLIENT_TOKEN,
        address=address,
        scopes=ALL_SCOPES,
        account_id=account.id,
    )


def caller_of_instance(instance: Instance, key: ApiKey | None, address: str | None) -> Caller:
    """Returns the caller that showed the token of an instance, or an API key that binds."""
    if key:
        return _caller_of_key(key, address)
    return Caller(
        Credential.INSTANCE_TOKEN,
        address=address,
        scopes=ALL_SCOPES,
        account_id=instance.account_id,
        instance_ids=frozenset({instance.id}),
    )


def _caller_of_key(key: ApiKey, address: str | None) -> Caller:
    return Caller(
        Credential.API_KEY,
        user=key.name,
        address=address,
        scopes=key.scopes,
        account_id=key.account_id,
        instance_ids=key.instance_ids,
    )
