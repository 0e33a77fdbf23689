"""WhatsApp Web through Baileys, as a provider of the gateway."""

import os
from collections.abc import Mapping

from pydantic import BaseModel

from gateway.contract.wire import Wire
from gateway.providers.baileys.engine import BaileysEngine
from gateway.providers.baileys.erasing import erase_person
from gateway.providers.baileys.failures import SERVER
from gateway.providers.baileys.installing import install_packages
from gateway.providers.baileys.operations import operations
from gateway.providers.baileys.settings import BaileysSettings, read_settings
from gateway.providers.baileys.trial import try_packages
from gateway.sessions.provider import (
    ErasedPerson,
    PersonalData,
    ProviderContext,
    ProviderQueries,
)
from gateway.whatsapp_web.messages import sends


class BaileysInstanceSettings(BaseModel):
    """An instance has none of its own."""


class BaileysProvider:
    """WhatsApp Web through Baileys."""

    name = "baileys"
    is_opt_in = True
    uses_proxy = True
    settings = BaileysSettings
    instance_settings = BaileysInstanceSettings
    simulation = None
    hosts = (SERVER,)
    personal_data = (
        PersonalData("events of WhatsApp", "the gateway has processed them"),
        PersonalData("options of polls", "90 days"),
        PersonalData("ids of sent messages", "7 days"),
        PersonalData(
            "encryption keys by number and lid, and which lid is which number",
            "the phone is unlinked, the person erased or the instance deleted",
        ),
    )

    @property
    def can_repeat_send(self) -> bool:
        """Off: that a phone shows one id once is not verified."""
        return read_settings(os.environ).repeat_sends

    def supports(self, command: type[Wire]) -> bool:
        return sends.supports(command) or operations.supports(command)

    async def delete_instance(
        self, queries: ProviderQueries, instance_id: str, *, max_rows: int
    ) -> int:
        (row,) = await queries.fetch("delete_instance", instance_id=instance_id, max_count=max_rows)
        return int(row["deleted"])

    async def erase_person(
        self, queries: ProviderQueries, instance_id: str, person: ErasedPerson
    ) -> int:
        """Leaves a history synchronisation alone: it is processed within moments of its arrival."""
        return await erase_person(queries, instance_id, person)

    async def try_store(self, provider_context: ProviderContext) -> str | None:
        return await try_packages(provider_context)

    async def install(self, environment: Mapping[str, str]) -> str:
        return await install_packages(read_settings(environment))

    def start(self, provider_context: ProviderContext) -> BaileysEngine:
        return BaileysEngine(provider_context, read_settings(provider_context.environment))


provider = BaileysProvider()
