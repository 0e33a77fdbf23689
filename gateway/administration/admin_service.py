"""What the operator does at the command line."""

import ipaddress
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from gateway.administration import listing
from gateway.administration.audit import Audit
from gateway.administration.importing import ImportedInstance, read_partner_list
from gateway.administration.listing import Listed, Which
from gateway.administration.partner import ProviderSelection
from gateway.administration.removal import Remover
from gateway.database.pool import Database
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.instances.accounts import Accounts, ListedAccount
from gateway.instances.creation import Kept, NewAccount, NewInstance, Registry
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import matches
from gateway.public_address import AddressPolicy
from gateway.webhooks.secrets import WebhookSecrets

_COMMAND_LINE = "command line"

Named = TypeVar("Named", ListedAccount, Listed)


@dataclass(frozen=True, slots=True)
class AdminService:
    """Everything by hand, beside a running gateway or without one."""

    database: Database
    registry: Registry
    accounts: Accounts
    remover: Remover
    selection: ProviderSelection
    audit: Audit
    secrets: WebhookSecrets
    policy: AddressPolicy

    async def create_account(
        self,
        name: str,
        *,
        client_token_required: bool,
        client_token: str | None = None,
        partner_token: str | None = None,
        allowed: Sequence[str] = (),
    ) -> NewAccount:
        """Raises Conflict where another account has this name, in capitals or not."""
        if not name.strip():
            raise InvalidRequest("NAME: must not be empty")
        made = await self.registry.add_account(
            name,
            client_token_required=client_token_required,
            client_token=client_token,
            partner_token=partner_token,
            allowed_addresses=networks_of(allowed),
            unique_name=True,
        )
        await self._note("CreateAccount", made.id)
        return made

    async def list_accounts(self) -> list[ListedAccount]:
        return await self.accounts.everyone()

    async def allow(self, account: str, addresses: Sequence[str]) -> None:
        """From where the account may be used; no address means from everywhere."""
        found, networks = await self.find_account(account), networks_of(addresses)
        await self._note("AllowAddresses", found.id)
        await self.accounts.allow_addresses(found.id, networks)

    async def renew_tokens(self, account: str) -> NewAccount:
        found = await self.find_account(account)
        await self._note("RenewTokens", found.id)
        return await self.registry.renew_tokens(found.id)

    async def delete_account(self, account: ListedAccount) -> None:
        """Deletes an account after its instances; returns when their rows are cleared.

        Raises:
            Conflict: an instance was made meanwhile.
        """
        for instance in await self.list_instances(account.id):
            await self.delete_instance(instance)
        await self._note("DeleteAccount", account.id)
        await self.accounts.delete(account.id)

    async def rotate_secret(self, account: str) -> str:
        """A new secret to sign callbacks with; the one before stays valid until it is retired."""
        return await self.secrets.rotate((await self.find_account(account)).id)

    async def retire_secret(self, account: str) -> None:
        await self.secrets.retire((await self.find_account(account)).id)

    async def create_instance(
        self,
        name: str,
        *,
        account: str | None,
        provider: str | None,
        provider_settings: Mapping[str, Any],
        kept: Kept,
    ) -> NewInstance:
        """Makes an instance, subscribed; a removed one of the same id is cleared away before."""
        await self.remover.sweep()
        found = await self.find_account(account)
        await self._note("CreateInstance", found.id)
        return await self.registry.add_instance(
            found.id,
            name,
            provider=self.selection.choose(provider),
            provider_settings=provider_settings,
            kept=kept,
        )

    async def import_instances(
        self, text: bytes, *, account: str | None, provider: str | None
    ) -> AsyncIterator[tuple[ImportedInstance, bool]]:
        """Makes the instances of a partner list, and says of each whether it is new.

        One that is there already is left as it is. Nothing is made where the list is wrong.

        Raises:
            InvalidRequest: the list is wrong, or there is no such provider.
            Conflict: an id is another account's, or has another token here.
        """
        arrivals = read_partner_list(text, self.policy)
        found, chosen = await self.find_account(account), self.selection.choose(provider)
        await self.remover.sweep()
        for imported in arrivals:
            there = await Instances(self.database).find(imported.id)
            if there is None:
                await self._note("CreateInstance", found.id, imported.id)
                await self.registry.add_instance(
                    found.id,
                    imported.name,
                    provider=chosen,
                    kept=Kept(id=imported.id, token=imported.token),
                    options=imported.options,
                )
            elif there.account_id != found.id or not matches(imported.token, there.token_hash):
                raise Conflict(
                    f"Instance {imported.id} exists already, with another token or owner"
                )
            yield imported, there is None

    async def list_instances(self, account: str | None) -> list[Listed]:
        account_id = (await self.find_account(account)).id if account else None
        return await listing.list_instances(self.database, Which(account_id=account_id))

    async def delete_instance(self, instance: Instance) -> None:
        """Returns when it is gone and its rows are cleared."""
        await self._note("DeleteInstance", instance.account_id, instance.id)
        await self.remover.remove(instance.id)
        await self.remover.clear_removed()

    async def token_of(self, named: str) -> str:
        instance = await self.find_instance(named)
        await self._note("ShowToken", instance.account_id, instance.id)
        return self.registry.token_of(instance)

    async def find_instance(self, named: str) -> Listed:
        """The instance of this id or name.

        Raises:
            NotFound: there is none.
            InvalidRequest: more than one has this name.
        """
        candidates = await listing.list_instances(self.database, Which(text=named))
        found = _named(candidates, named)
        if not found:
            raise NotFound(f"There is no instance {named!r}: see `gateway instances list`")
        if len(found) > 1:
            raise InvalidRequest(f"More than one instance is named {named!r}: give its id")
        return found[0]

    async def _note(self, act: str, account_id: str, instance_id: str | None = None) -> None:
        await self.audit.note(
            act, account_id=account_id, instance_id=instance_id, address=_COMMAND_LINE
        )

    async def find_account(self, named: str | None) -> ListedAccount:
        """The account of this id or name; the only one there is, where none is named.

        Raises:
            NotFound: there is none.
            InvalidRequest: more than one fits.
        """
        everyone = await self.accounts.everyone()
        found = everyone if named is None else _named(everyone, named)
        if not found:
            raise NotFound(
                f"There is no account {named!r}: see `gateway accounts list`"
                if named
                else "There is no account yet: make one with `gateway accounts create NAME`"
            )
        if len(found) > 1:
            raise InvalidRequest("More than one account fits: name it by its id")
        return found[0]


def _named(candidates: Sequence[Named], name: str) -> list[Named]:
    """Those of this id or name: as it is written, else in capitals or not."""
    exact = [each for each in candidates if name in (each.id, each.name)]
    folded = name.casefold()
    return exact or [
        each for each in candidates if folded in (each.id.casefold(), each.name.casefold())
    ]


def networks_of(addresses: Sequence[str]) -> list[str]:
    """Addresses and networks as Postgres keeps them.

    Raises:
        InvalidRequest: one is neither.
    """
    networks = []
    for text in addresses:
        try:
            networks.append(str(ipaddress.ip_network(text.strip())))
        except ValueError:
            raise InvalidRequest(
                f"{text!r} is neither an address nor a network such as 203.0.113.0/24"
            ) from None
    return networks
