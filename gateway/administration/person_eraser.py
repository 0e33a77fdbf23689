"""Erases a person for the command line, which waits for the end of the search in other chats."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.administration.erased_content import with_both_spellings
from gateway.administration.erasure import Erasure
from gateway.administration.people import PeopleContext, erase
from gateway.administration.person_data import erasures_of
from gateway.administration.person_search import PersonSearch
from gateway.clock import Clock
from gateway.contract.extensions.contacts import ErasePerson
from gateway.database.pool import Database
from gateway.identities.people import names_of
from gateway.instances.store import Instance

_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class PersonEraser:
    """Erases, and works on the search itself: a gateway need not run, and may."""

    database: Database
    erasure: Erasure
    person_search: PersonSearch
    clock: Clock

    async def erase(self, instance: Instance, phone: str) -> list[str]:
        """Erases a person and orders the search; returns all names of the person."""
        operation = ErasePerson(phone=phone)
        known = await names_of(self.database, instance.id, operation.phone)
        context = PeopleContext(self.database, self.erasure, self.person_search, instance)
        await erase(context, operation)
        return with_both_spellings(known.every)

    async def search(self, instance: Instance, names: Sequence[str]) -> AsyncIterator[int]:
        """Yields the percentage until the search has ended."""
        while found := await erasures_of(self.database, instance.id, names):
            yield found[0].percent
            await self.person_search.run()
            await self.clock.sleep(_POLL_SECONDS)
        yield 100
