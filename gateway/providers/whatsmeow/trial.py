"""Opens the library's key store once, to find out whether a phone could be linked."""

import asyncio
import secrets
from importlib.util import find_spec

from gateway.errors import DatabaseUnavailable, StartRefused
from gateway.providers.whatsmeow.failures import sentence_of
from gateway.providers.whatsmeow.process import Child, ChildGone
from gateway.providers.whatsmeow.settings import read_settings
from gateway.sessions.provider import ProviderContext
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
            devices = await _open(provider_context, await provider_context.database_url())
    except (ChildGone, VerbFailed, DatabaseUnavailable, OSError) as error:
        raise StartRefused(sentence_of(error)) from None
    return f"it opens, with the keys of {devices} linked devices"


async def _open(provider_context: ProviderContext, store: str) -> int:
    folder = (provider_context.data_dir / "whatsmeow").absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    deadline = provider_context.clock.monotonic_seconds() + _TIMEOUT_SECONDS
    child = await Child.start(provider_context.environment, folder, deadline=deadline)
    try:
        return len(await child.call(secrets.token_hex(4), "open_store", store=store))
    finally:
        await child.end()
