"""Opens the library's key store once, to find out whether a phone could be linked."""

import asyncio
import secrets
from importlib.util import find_spec

from gateway.errors import DatabaseUnavailable, StartRefused
from gateway.providers.whatsmeow.failures import sentence_of
from gateway.providers.whatsmeow.library_pool import library_pool_options
from gateway.providers.whatsmeow.process import Child
from gateway.providers.whatsmeow.settings import WhatsmeowSettings, read_settings
from gateway.sessions.provider import ProviderContext
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import VerbFailed

_TIMEOUT_SECONDS = 30.0


async def try_key_store(provider_context: ProviderContext) -> str | None:
    """Returns a sentence about the store; None with keys in files, or without the library.

    Raises:
        StartRefused: the store does not open; the message says why.
    """
    settings = read_settings(provider_context.environment)
    if settings.keys != "postgres" or find_spec("neonize") is None:
        return None
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            devices = await _open_store(provider_context, settings)
    except (ChildGone, VerbFailed, DatabaseUnavailable, OSError) as error:
        raise StartRefused(sentence_of(error)) from None
    return f"it opens, with the keys of {devices} linked devices"


async def _open_store(provider_context: ProviderContext, settings: WhatsmeowSettings) -> int:
    folder = (provider_context.data_dir / "whatsmeow").absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    pool = provider_context.library_pool(library_pool_options(settings, folder))
    ended = asyncio.Event()
    deadline = provider_context.clock.monotonic_seconds() + _TIMEOUT_SECONDS
    # A task group would wrap the reason why the store does not open.
    serving = asyncio.create_task(pool.run_until(ended), name="library pool of a trial")
    try:
        child = await Child.start(provider_context.environment, folder, deadline=deadline)
        try:
            store = await pool.admit_visitor()
            return len(await child.call(secrets.token_hex(4), "open_store", store=store))
        finally:
            await child.end()
    finally:
        ended.set()
        await serving
