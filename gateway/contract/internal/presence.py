"""What contacts see of the instance: typing, read messages, rejected calls."""

from gateway.contract.operation import Operation, Value
from gateway.contract.wire import Chat


class ShowTyping(Operation[Value]):
    """Shows "typing..." to a chat for some seconds, before a message is sent."""

    phone: Chat
    seconds: float


class MarkRead(Operation[Value]):
    """Marks messages as read for their sender; the ids are those of the provider."""

    phone: Chat
    message_ids: tuple[str, ...]
    sender: str | None = None


class RejectCall(Operation[Value]):
    """Ends a ringing call, on instances that reject calls."""

    phone: Chat
    call_id: str
