"""WhatsApp Web as a provider of the gateway."""

from collections.abc import Mapping

from pydantic import BaseModel

from gateway.contract.wire import Wire
from gateway.providers.whatsmeow.engine import WhatsmeowEngine
from gateway.providers.whatsmeow.failures import SERVER
from gateway.providers.whatsmeow.settings import WhatsmeowSettings, read_settings
from gateway.providers.whatsmeow.trial import try_key_store
from gateway.sessions.provider import (
    ErasedPerson,
    PersonalData,
    ProviderContext,
    ProviderQueries,
)
from gateway.whatsapp_web.messages import sends
from gateway.whatsapp_web.operations import operations


class NoInstanceSettings(BaseModel):
    """An instance has none of its own."""


class WhatsmeowProvider:
    """WhatsApp Web."""

    name = "whatsmeow"
    can_repeat_send = False
    is_opt_in = False
    uses_proxy = True
    settings = WhatsmeowSettings
    instance_settings = NoInstanceSettings
    simulation = None
    hosts = (SERVER,)
    personal_data = (
        PersonalData("events of WhatsApp", "the gateway has processed them"),
        PersonalData("options of polls", "90 days"),
        PersonalData("ids of sent messages", "7 days"),
        PersonalData(
            "in the library's key store: names of contacts, settings of chats, keys of messages, "
            "encryption keys by number",
            "the phone is unlinked or the instance deleted",
        ),
    )

    def supports(self, command: type[Wire]) -> bool:
        return sends.supports(command) or operations.supports(command)

    async def delete_instance(
        self, queries: ProviderQueries, instance_id: str, *, max_rows: int
    ) -> int:
        """Deletes the device's keys with the rest, when Postgres stores them."""
        (row,) = await queries.fetch("delete_instance", instance_id=instance_id, max_count=max_rows)
        return int(row["deleted"])

    async def erase_person(
        self, queries: ProviderQueries, instance_id: str, person: ErasedPerson
    ) -> int:
        """Leaves a history synchronisation alone: it is processed within moments of its arrival."""
        (row,) = await queries.fetch(
            "erase_person",
            instance_id=instance_id,
            users=[address.partition("@")[0] for address in person.addresses],
            message_ids=list(person.provider_message_ids),
        )
        return int(row["erased"])

    async def try_store(self, provider_context: ProviderContext) -> str | None:
        return await try_key_store(provider_context)

    async def install(self, environment: Mapping[str, str]) -> None:
        """Needs nothing."""
        del environment

    def start(self, provider_context: ProviderContext) -> WhatsmeowEngine:
        return WhatsmeowEngine(provider_context, read_settings(provider_context.environment))


provider = WhatsmeowProvider()
