"""WhatsApp Web as a provider of the gateway."""

from gateway.contract.wire import Wire
from gateway.providers.whatsmeow.engine import WhatsmeowEngine
from gateway.providers.whatsmeow.failures import SERVER
from gateway.providers.whatsmeow.messages import sends
from gateway.providers.whatsmeow.operations import operations
from gateway.providers.whatsmeow.settings import WhatsmeowSettings, read_settings
from gateway.providers.whatsmeow.trial import try_key_store
from gateway.sessions.provider import ProviderContext


class WhatsmeowProvider:
    """WhatsApp Web."""

    name = "whatsmeow"
    can_repeat_send = False
    uses_proxy = True
    settings = WhatsmeowSettings
    hosts = (SERVER,)

    def supports(self, command: type[Wire]) -> bool:
        return sends.supports(command) or operations.supports(command)

    async def try_store(self, provider_context: ProviderContext) -> str | None:
        return await try_key_store(provider_context)

    def start(self, provider_context: ProviderContext) -> WhatsmeowEngine:
        return WhatsmeowEngine(provider_context, read_settings(provider_context.environment))


provider = WhatsmeowProvider()
