"""The operator's commands on accounts and instances."""

import ipaddress
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.administration import listing
from gateway.administration.audit import Audit, Caller, Credential, Subject
from gateway.administration.export import CopiesFiles, Export
from gateway.administration.importing import ImportedInstance, read_partner_list
from gateway.administration.listing import InstanceFilter, InstanceWithConnection
from gateway.administration.partner import ProviderSelection
from gateway.administration.payload_encryption import PayloadEncryption
from gateway.administration.removal import Remover
from gateway.administration.user_admin import UserAdmin
from gateway.contract.extensions.account import EncryptionRule, PayloadEncryptionState
from gateway.contract.operation import AuditedState
from gateway.contract.scopes import ALL_SCOPES
from gateway.database.pool import Database
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.instances.accounts import Accounts, ListedAccount
from gateway.instances.creation import ExistingCredentials, NewAccount, NewInstance, Registry
from gateway.instances.store import Instance, Instances
from gateway.instances.tokens import matches
from gateway.public_address import AddressPolicy
from gateway.users.sign_in_links import SignInLinks
from gateway.webhooks.secrets import WebhookSecrets

_COMMAND_LINE = "command line"


def command_line_caller(user: str | None) -> Caller:
    """Returns who runs a command: a user of the system, with every right."""
    return Caller(Credential.COMMAND_LINE, user=user, address=_COMMAND_LINE, scopes=ALL_SCOPES)


Named = TypeVar("Named", ListedAccount, InstanceWithConnection)


@dataclass(frozen=True, slots=True)
class AdminService:
    """Executes the operator's commands, with or without a running gateway."""

    database: Database
    registry: Registry
    accounts: Accounts
    remover: Remover
    selection: ProviderSelection
    audit: Audit
    secrets: WebhookSecrets
    policy: AddressPolicy
    payload_encryption: PayloadEncryption
    copy_file: CopiesFiles
    users: UserAdmin
    links: SignInLinks
    user: str | None = None
    """The system user who runs the commands."""

    async def create_account(
        self,
        name: str,
        *,
        client_token_required: bool,
        client_token: str | None = None,
        partner_token: str | None = None,
        allowed: Sequence[str] = (),
    ) -> NewAccount:
        """Makes an account; raises Conflict if another one has this name in any capitals."""
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
        async with self._noting("CreateAccount", made.id):
            return made

    async def list_accounts(self) -> list[ListedAccount]:
        return await self.accounts.list_all()

    async def allow(self, account: str, addresses: Sequence[str]) -> None:
        """Sets the addresses that may use the account; none allows every address."""
        found, networks = await self.find_account(account), networks_of(addresses)
        async with self._noting("AllowAddresses", found.id, compared=AuditedState.ACCOUNT):
            await self.accounts.allow_addresses(found.id, networks)

    async def renew_tokens(self, account: str) -> NewAccount:
        found = await self.find_account(account)
        async with self._noting("RenewTokens", found.id, compared=AuditedState.ACCOUNT):
            return await self.registry.renew_tokens(found.id)

    async def delete_account(self, account: ListedAccount) -> None:
        """Deletes the instances of an account with their rows, then the account.

        Raises:
            Conflict: an instance was made during the deletion.
        """
        for instance in await self.list_instances(account.id):
            await self.delete_instance(instance)
        async with self._noting("DeleteAccount", account.id):
            await self.accounts.delete(account.id)

    async def export_account(
        self, account: str, folder: Path, *, tokens: bool, files: bool
    ) -> dict[str, int]:
        """Writes everything of an account into *folder*; returns the number of rows by file."""
        found = await self.find_account(account)
        export = Export(self.database, self.registry.token_of, self.copy_file)
        async with self._noting("ExportAccount", found.id):
            return await export.write(
                found, await self.list_instances(found.id), folder, tokens=tokens, files=files
            )

    async def rotate_secret(self, account: str) -> str:
        """Makes a new secret that signs callbacks; the old one also signs until it is retired."""
        found = await self.find_account(account)
        async with self._noting("RotateWebhookSecret", found.id, compared=AuditedState.ACCOUNT):
            return await self.secrets.rotate(found.id)

    async def retire_secret(self, account: str) -> None:
        """Ends the earlier secret, which signed callbacks beside the present one."""
        found = await self.find_account(account)
        async with self._noting("RetireWebhookSecret", found.id, compared=AuditedState.ACCOUNT):
            await self.secrets.retire(found.id)

    async def set_payload_encryption(self, account: str, rule: EncryptionRule) -> None:
        """Encrypts the content of an account's messages, or stops; `default` follows the setting.

        Raises:
            Conflict: a node runs an earlier release.
        """
        found = await self.find_account(account)
        async with self._noting("SetPayloadEncryption", found.id, compared=AuditedState.ACCOUNT):
            await self.payload_encryption.set_rule(found.id, rule)

    async def payload_encryption_of(self, account: str) -> PayloadEncryptionState:
        return await self.payload_encryption.state_of((await self.find_account(account)).id)

    async def create_instance(
        self,
        name: str,
        *,
        account: str | None,
        provider: str | None,
        provider_settings: Mapping[str, Any],
        credentials: ExistingCredentials,
    ) -> NewInstance:
        """Makes a subscribed instance; finishes removals first, so that a removed id is free."""
        await self.remover.finish_removals()
        found = await self.find_account(account)
        async with self._noting("CreateInstance", found.id, credentials.id):
            return await self.registry.add_instance(
                found.id,
                name,
                provider=self.selection.choose(provider),
                provider_settings=provider_settings,
                credentials=credentials,
            )

    async def import_instances(
        self, text: bytes, *, account: str | None, provider: str | None
    ) -> AsyncIterator[tuple[ImportedInstance, bool]]:
        """Makes the instances of a partner list, and yields each with whether it is new.

        An instance that exists stays as it is. A list with an error makes nothing.

        Raises:
            InvalidRequest: the list is wrong, or the provider does not exist.
            Conflict: an id belongs to another account, or has another token here.
        """
        imports = read_partner_list(text, self.policy)
        found, chosen = await self.find_account(account), self.selection.choose(provider)
        await self.remover.finish_removals()
        for imported in imports:
            existing = await Instances(self.database).find(imported.id)
            if existing is None:
                async with self._noting("ImportInstance", found.id, imported.id):
                    await self.registry.add_instance(
                        found.id,
                        imported.name,
                        provider=chosen,
                        credentials=ExistingCredentials(id=imported.id, token=imported.token),
                        options=imported.options,
                    )
            elif existing.account_id != found.id or not matches(
                imported.token, existing.token_hash
            ):
                raise Conflict(
                    f"Instance {imported.id} exists already, with another token or account"
                )
            yield imported, existing is None

    async def list_instances(self, account: str | None) -> list[InstanceWithConnection]:
        account_id = (await self.find_account(account)).id if account else None
        return await listing.list_instances(self.database, InstanceFilter(account_id=account_id))

    async def delete_instance(self, instance: Instance) -> None:
        """Deletes an instance; returns when its rows are deleted."""
        async with self._noting("DeleteInstance", instance.account_id, instance.id):
            await self.remover.remove(instance.id)
            await self.remover.clear_removed()

    async def token_of(self, named: str) -> str:
        instance = await self.find_instance(named)
        async with self._noting("ShowToken", instance.account_id, instance.id):
            return self.registry.token_of(instance)

    async def find_instance(self, named: str) -> InstanceWithConnection:
        """Returns the instance of this id or name.

        Raises:
            NotFound: no instance has this id or name.
            InvalidRequest: more than one has this name.
        """
        candidates = await listing.list_instances(self.database, InstanceFilter(text=named))
        found = _named(candidates, named)
        if not found:
            raise NotFound(f"There is no instance {named!r}: see `gateway instances list`")
        if len(found) > 1:
            raise InvalidRequest(f"More than one instance is named {named!r}: give its id")
        return found[0]

    def _noting(
        self,
        act: str,
        account_id: str,
        instance_id: str | None = None,
        *,
        compared: AuditedState | None = None,
    ) -> AbstractAsyncContextManager[None]:
        caller = command_line_caller(self.user)
        return self.audit.noting(act, caller, Subject(account_id, instance_id), compared=compared)

    async def find_account(self, named: str | None) -> ListedAccount:
        """Returns the account of this id or name, or the only account if *named* is None.

        Raises:
            NotFound: no account has this id or name.
            InvalidRequest: several accounts fit.
        """
        accounts = await self.accounts.list_all()
        found = accounts if named is None else _named(accounts, named)
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
    """Returns the candidates of this id or name as written, else in any capitals."""
    exact = [each for each in candidates if name in (each.id, each.name)]
    folded = name.casefold()
    return exact or [
        each for each in candidates if folded in (each.id.casefold(), each.name.casefold())
    ]


def networks_of(addresses: Sequence[str]) -> list[str]:
    """Returns addresses and networks as Postgres stores them.

    Raises:
        InvalidRequest: a text is neither an address nor a network.
    """
    networks = []
    for text in addresses:
        try:
            network = ipaddress.ip_network(text.strip())
        except ValueError:
            network = None
        # Postgres stores no zone, such as %eth0, which only this machine knows.
        if network is None or "%" in text:
            raise InvalidRequest(
                f"{text!r} is neither an address nor a network such as 203.0.113.0/24"
            )
        networks.append(str(network))
    return networks
