"""Starts a child process once, to find out whether sessions could be opened."""

import asyncio

from gateway.errors import StartRefused
from gateway.providers.baileys.failures import sentence_of
from gateway.providers.baileys.node_program import program_of
from gateway.providers.baileys.process import NodeChild
from gateway.providers.baileys.settings import read_settings
from gateway.sessions.provider import ProviderContext
from gateway.whatsapp_web.library_child import ChildGone
from gateway.whatsapp_web.session import VerbFailed

_TIMEOUT_SECONDS = 30.0
_MB = 1 << 20


async def try_packages(provider_context: ProviderContext) -> str:
    """Returns a sentence about Node and its packages.

    Raises:
        StartRefused: something is missing; the message says what to do.
    """
    settings = read_settings(provider_context.environment)
    program = program_of(settings)
    deadline = provider_context.clock.monotonic_seconds() + _TIMEOUT_SECONDS
    try:
        child = await NodeChild.start(program, provider_context.environment, deadline=deadline)
        try:
            async with asyncio.timeout(_TIMEOUT_SECONDS):
                ready = await child.call("", "ready")
        finally:
            await child.end()
    except (ChildGone, VerbFailed, OSError, TimeoutError) as error:
        raise StartRefused(sentence_of(error)) from None
    return f"Node {ready['node']} runs Baileys in {ready['rss'] // _MB} MB"
