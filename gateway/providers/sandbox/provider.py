"""The sandbox as a provider of the gateway."""

from gateway.contract.wire import Wire
from gateway.providers.sandbox.engine import SandboxEngine
from gateway.providers.sandbox.messages import sends
from gateway.providers.sandbox.operations import operations
from gateway.providers.sandbox.settings import SandboxSettings, read_settings
from gateway.sessions.provider import ProviderContext


class SandboxProvider:
    """WhatsApp, simulated."""

    name = "sandbox"
    can_repeat_send = True
    uses_proxy = False  # it connects nowhere
    settings = SandboxSettings
    hosts = ()

    def supports(self, command: type[Wire]) -> bool:
        return sends.supports(command) or operations.supports(command)

    async def try_store(self, _surroundings: ProviderContext) -> None:
        return None  # its tables are migrated with the gateway's

    def start(self, provider_context: ProviderContext) -> SandboxEngine:
        return SandboxEngine(provider_context, read_settings(provider_context.environment))


provider = SandboxProvider()
