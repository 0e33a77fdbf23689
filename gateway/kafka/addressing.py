"""Decides which instance a record is for, and whether its topic may send as that instance."""

from dataclasses import dataclass

from gateway.database.pool import Database
from gateway.errors import Conflict, InvalidRequest, NotFound
from gateway.instances.store import Instance, Instances
from gateway.kafka.connection import KafkaAccount, accounts_named
from gateway.parsing.records import RecordAddress


@dataclass(frozen=True, slots=True)
class RecordAddressing:
    """Finds the instances that records name.

    A topic with an account sends as the instances of that account only; a `userId` must be the id
    or the name of it. A topic of any account takes the account from the `userId`; a record with an
    instance's id needs none.
    """

    database: Database
    instances: Instances

    async def instance(self, account: KafkaAccount | None, address: RecordAddress) -> Instance:
        """Returns the instance of a record.

        Args:
            account: of the topic; None for a topic of any account.
            address: what the record says.

        Raises:
            InvalidRequest: it names no instance that this topic may send as.
            NotFound: the account has no instance of this name.
            Conflict: several accounts or instances have the name; the text has their ids.
        """
        if not address.instance:
            raise InvalidRequest(f"{address.field}: is required")
        if "\x00" in address.instance + (address.user or ""):
            raise InvalidRequest(f"{address.field}: must not hold a NUL character")
        owner = await self._account(account, address)
        if owner is None or not address.by_name:
            whose = "the account of this topic" if account else "the account that userId names"
            return await self._by_id(address, owner, whose if owner else "this gateway")
        return await self.instances.find_named(owner.id, address.instance, field=address.field)

    async def _account(
        self, account: KafkaAccount | None, address: RecordAddress
    ) -> KafkaAccount | None:
        """Returns the account of the record; None where an instance's id is enough."""
        if account is not None:
            if address.user not in (None, account.id, account.name):
                raise InvalidRequest(
                    "userId: must be the id or the name of the account of this topic"
                )
            return account
        if address.user is not None:
            return await self._account_of_user(address.user)
        if address.by_name:
            raise InvalidRequest("userId: is required in this topic, with the name of an instance")
        return None

    async def _account_of_user(self, user: str) -> KafkaAccount:
        found = await accounts_named(self.database, [user])
        if not found:
            raise NotFound("userId: no account has this id or name")
        by_id = next((account for account in found if account.id == user), None)
        if by_id is None and len(found) > 1:
            ids = ", ".join(account.id for account in found)
            raise Conflict(f"userId: several accounts have this name: {ids}; give one of these ids")
        return by_id or found[0]

    async def _by_id(
        self, address: RecordAddress, owner: KafkaAccount | None, whose: str
    ) -> Instance:
        instance = await self.instances.find(address.instance)
        if instance is None or (owner is not None and instance.account_id != owner.id):
            raise InvalidRequest(f"{address.field}: must be an instance of {whose}")
        return instance
