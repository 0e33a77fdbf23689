"""The objects that all sessions of an engine share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.clock import Clock
from gateway.observability.metrics import Metrics
from gateway.providers.whatsmeow.child.frames import LibraryEvent
from gateway.providers.whatsmeow.children import Children
from gateway.providers.whatsmeow.key_files import delete_key_file
from gateway.providers.whatsmeow.opening import LibraryTables
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.providers.whatsmeow.store import Store
from gateway.sessions.library_pool import LibraryPool
from gateway.sessions.provider import SessionSpec


@dataclass(frozen=True, slots=True)
class ClientContext:
    """The objects that all sessions of an engine share.

    `pool` leads to the library's tables; it is None with keys in files, of which `folder` has one
    for each instance. `picture` returns the JPEG that a caller named, for the instance of that id.
    """

    children: Children
    store: Store
    settings: WhatsmeowSettings
    clock: Clock
    folder: Path
    pool: LibraryPool | None
    tables: LibraryTables
    picture: Callable[[str, str], Awaitable[bytes]]
    metrics: Metrics

    def key_file(self, instance_id: str) -> Path:
        """Returns where the keys of the instance are, with keys in files."""
        return self.folder / f"{instance_id}.db"

    async def key_store(self, spec: SessionSpec, *, is_new: bool) -> str:
        """Returns the library's database for the session; a new linking deletes an earlier file."""
        if self.pool:
            return await self.pool.admit(spec.instance_id, spec.epoch)
        if is_new:
            delete_key_file(self.key_file(spec.instance_id))
        return str(self.key_file(spec.instance_id))

    async def note_progress(self, instance_id: str, event: LibraryEvent) -> None:
        """Holds back the keys of a message from its decryption until it is stored.

        No message leaves meanwhile, which would be encrypted with keys that a crash takes back.
        """
        if self.pool is None:
            return
        match event.name:
            case "Receiving":
                await self.pool.defer(instance_id)
            case "Sending" | "Leaving":
                await self.pool.released(instance_id)
            case _:
                if event.releases or event.name == "Released":
                    await self.pool.release(instance_id)

    async def close_key_store(self, spec: SessionSpec) -> None:
        if self.pool:
            await self.pool.dismiss(spec.instance_id)
