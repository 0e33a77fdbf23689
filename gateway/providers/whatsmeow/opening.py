"""Opens a client in a child, and makes it available once it has connected."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable

from gateway.providers.whatsmeow.child.frames import Json
from gateway.providers.whatsmeow.process import Child
from gateway.providers.whatsmeow.settings import WhatsmeowSettings
from gateway.sessions.provider import SessionSpec
from gateway.whatsapp_web.jids import text_of
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import VerbFailed

_OPENING_SECONDS = 60.0


class LibraryTables:
    """The library's tables in Postgres, which it makes or upgrades when a client opens.

    Two clients that do so at the same moment disturb each other, and one of them fails.
    """

    def __init__(self, *, are_shared: bool) -> None:
        """Creates it; they are not shared where each client has a file of its own."""
        self._making, self._are_made = asyncio.Lock(), not are_shared

    async def make(self, child: Child, instance_id: str, store: Json) -> None:
        """Has the child open the store once, while no other does; later calls return at once."""
        if self._are_made:
            return
        async with self._making:
            if not self._are_made:
                await child.call(instance_id, "open_store", store=store)
                self._are_made = True


async def open_client(
    child: Child, spec: SessionSpec, settings: WhatsmeowSettings, store: Json, device: str | None
) -> None:
    """Has the child connect as *device*, or link a new one, with the keys of *store*."""
    async with asyncio.timeout(_OPENING_SECONDS):
        await child.call(
            spec.instance_id,
            "open",
            store=store,
            device=device,
            uuid=f"{spec.instance_id}-{secrets.token_hex(4)}",
            name=settings.device_name,
            proxy=spec.proxy and spec.proxy.model_dump(),
        )


async def greet(child: Child, instance_id: str, report_lid: Callable[[str], None]) -> None:
    """Shows a client that has connected as available, and reports the lid of its phone."""
    with contextlib.suppress(ChildGone, VerbFailed):
        await child.call(instance_id, "become_available")
        if lid := text_of((await child.call(instance_id, "me")).get("LID")):
            report_lid(lid)
