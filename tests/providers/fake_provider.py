"""A provider without SQL, whose instances have a secret among their settings."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from pydantic import BaseModel, Field, SecretStr

from gateway.contract.wire import Wire
from gateway.sessions.provider import (
    Engine,
    ErasedPerson,
    ProviderContext,
    ProviderQueries,
    Session,
    SessionSpec,
)


class FakeInstanceSettings(BaseModel):
    """An address in plain text, and a key that is secret."""

    url: str
    api_key: SecretStr | None = Field(None, alias="apiKey")


class FakeProvider:
    """Stores rows in memory; its engine never starts."""

    name = "fake"
    can_repeat_send = False
    is_opt_in = False
    uses_proxy = False
    settings = BaseModel
    instance_settings = FakeInstanceSettings
    simulation = None
    hosts = ()
    personal_data = ()

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self.erased: list[tuple[str, ErasedPerson]] = []

    def supports(self, command: type[Wire]) -> bool:
        del command
        return False

    async def delete_instance(
        self, queries: ProviderQueries, instance_id: str, *, max_rows: int
    ) -> int:
        del queries
        deleted = min(max_rows, self.rows.get(instance_id, 0))
        self.rows[instance_id] = self.rows.get(instance_id, 0) - deleted
        return deleted

    async def erase_person(
        self, queries: ProviderQueries, instance_id: str, person: ErasedPerson
    ) -> int:
        del queries
        self.erased.append((instance_id, person))
        return 3

    async def try_store(self, provider_context: ProviderContext) -> None:
        del provider_context

    async def install(self, environment: Mapping[str, str]) -> None:
        del environment

    def start(self, provider_context: ProviderContext) -> Engine:
        raise NotImplementedError

    def open_session(self, spec: SessionSpec) -> AbstractAsyncContextManager[Session]:
        raise NotImplementedError
