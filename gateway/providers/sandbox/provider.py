"""The sandbox as a provider of the gateway."""

import secrets
from collections.abc import Mapping

from pydantic import BaseModel

from gateway.contract.wire import Wire
from gateway.providers.sandbox.engine import SandboxEngine
from gateway.providers.sandbox.messages import sends
from gateway.providers.sandbox.operations import operations
from gateway.providers.sandbox.people import People
from gateway.providers.sandbox.settings import SandboxSettings, read_settings
from gateway.sessions.provider import (
    ErasedPerson,
    PersonalData,
    ProviderContext,
    ProviderQueries,
    ProviderStore,
    Simulation,
)


class SandboxInstanceSettings(BaseModel):
    """`paired`: a phone is linked from the start."""

    paired: bool = False


async def scan(store: ProviderStore, instance_id: str) -> None:
    """Links the simulated phone of an instance, under the number that the sandbox made up."""
    await People(store, secrets.token_bytes).scan(instance_id, None)


class SandboxProvider:
    """The provider that simulates WhatsApp."""

    name = "sandbox"
    can_repeat_send = True
    is_opt_in = False
    uses_proxy = False  # it connects to no server
    settings = SandboxSettings
    instance_settings = SandboxInstanceSettings
    simulation = Simulation(linked_settings={"paired": True}, sent_path="sent", scan=scan)
    hosts = ()
    personal_data = (
        PersonalData("messages that were sent, and what became of them", "30 days"),
        PersonalData("messages and receipts that no session has reported yet", "30 days"),
        PersonalData("simulated contacts, groups and channels", "the instance is deleted"),
    )

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
        (row,) = await queries.fetch(
            "erase_person",
            instance_id=instance_id,
            addresses=list(person.addresses),
            message_ids=list(person.provider_message_ids),
        )
        return int(row["erased"])

    async def try_store(self, _provider_context: ProviderContext) -> None:
        return None  # its tables are migrated with the gateway's

    async def install(self, environment: Mapping[str, str]) -> None:
        """Needs nothing."""
        del environment

    def start(self, provider_context: ProviderContext) -> SandboxEngine:
        return SandboxEngine(provider_context, read_settings(provider_context.environment))


provider = SandboxProvider()
