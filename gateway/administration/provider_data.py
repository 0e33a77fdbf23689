"""Asks every provider to delete what it stores: of a deleted instance, or of an erased person."""

from collections.abc import Callable, Sequence

from psycopg import AsyncConnection

from gateway.database.deadlines import DatabaseDeadline
from gateway.database.pool import Database
from gateway.database.provider_store import ConnectionQueries
from gateway.sessions.provider import ErasedPerson, Provider


class ProviderData:
    """The data of all providers.

    Every provider is asked, not only the instance's: the row that names it is gone before the
    data is deleted.
    """

    def __init__(self, database: Database, providers: Callable[[], Sequence[Provider]]) -> None:
        self._database, self._providers = database, providers

    async def delete_instance(self, instance_id: str, *, max_rows: int) -> int:
        """Deletes at most *max_rows* rows of each table; returns how many it deleted.

        Raises:
            DatabaseUnavailable: the caller may repeat the call.
        """
        deleted = 0
        for provider in self._providers():
            async with self._database.within(DatabaseDeadline.PRUNING).connection() as connection:
                queries = ConnectionQueries(connection, provider=provider.name)
                deleted += await provider.delete_instance(queries, instance_id, max_rows=max_rows)
        return deleted

    async def erase_person(
        self, connection: AsyncConnection, instance_id: str, person: ErasedPerson
    ) -> int:
        """Deletes the person's data in the transaction of *connection*; returns the row count."""
        erased = 0
        for provider in self._providers():
            queries = ConnectionQueries(connection, provider=provider.name)
            erased += await provider.erase_person(queries, instance_id, person)
        return erased
