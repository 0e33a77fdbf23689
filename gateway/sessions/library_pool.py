"""The port to connections to Postgres for an engine's library that has a driver of its own."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

LibraryPoolOf = Callable[["LibraryPoolOptions"], "LibraryPool"]


@dataclass(frozen=True, slots=True)
class LibraryPoolOptions:
    """How a pool serves a library.

    Attributes:
        folder: below which its socket is.
        max_connections: the largest number of connections to Postgres.
        repeated: a `table` of which only its client changes a row, and the `read` and the `write`
            (an upsert) of such a row that the client repeats, and is answered from memory.
        deferred: what is held back between `defer` and `release`. Each has a `write`, an upsert of
            one `column` of a `table`, whose value `read` reads; or a `write` alone, a deletion.
    """

    folder: Path
    max_connections: int
    repeated: Mapping[str, str]
    deferred: Sequence[Mapping[str, str]] = ()


class LibraryPool(Protocol):
    """Lets any number of clients of a library share a few connections to Postgres."""

    async def run_until(self, stopping: asyncio.Event) -> None:
        """Serves the clients."""
        ...

    async def admit(self, instance_id: str, epoch: int) -> str:
        """Returns a URL of Postgres for the client of an instance.

        It ends the connections of the client before, whose last statement has ended by then. What
        the client writes is refused once the lease of the instance has another epoch.
        """
        ...

    async def admit_visitor(self) -> str:
        """Returns a URL for a client that serves no instance."""
        ...

    async def dismiss(self, instance_id: str) -> None:
        """Ends the connections of the client of an instance, and drops what is held back."""
        ...

    async def defer(self, instance_id: str) -> None:
        """Holds back the deferred writes of the client of an instance until `release`."""
        ...

    async def release(self, instance_id: str) -> None:
        """Writes what is held back; returns when it is committed, or the client was dismissed."""
        ...

    async def released(self, instance_id: str) -> None:
        """Returns when nothing is held back; after some seconds it releases that itself."""
        ...


def no_library_pool(_options: LibraryPoolOptions) -> LibraryPool:
    """Stands for a pool where there is no database."""
    raise NotImplementedError
