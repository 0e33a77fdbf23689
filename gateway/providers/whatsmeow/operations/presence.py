"""What a chat shows of us."""

from gateway.contract.handlers import Handlers
from gateway.contract.operation import Value
from gateway.contract.presence import ShowTyping
from gateway.providers.whatsmeow.jids import jid_of
from gateway.providers.whatsmeow.session import WhatsmeowSession

operations: Handlers[WhatsmeowSession] = Handlers()


@operations.handles(ShowTyping)
async def show_typing(session: WhatsmeowSession, asked: ShowTyping) -> Value:
    """WhatsApp takes it back by itself when the message comes, or after some seconds."""
    await session.call("typing", chat=jid_of(asked.phone), on=True)
    return Value()
