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
