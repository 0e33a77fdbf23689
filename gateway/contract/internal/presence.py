"""What others see of us while we are busy with a chat."""

from gateway.contract.operation import Operation, Value
from gateway.contract.wire import Chat


class ShowTyping(Operation[Value]):
    """Shows "typing..." to a chat for some seconds; asked by the worker, not by callers."""

    phone: Chat
    seconds: float


class MarkRead(Operation[Value]):
    """Tells who wrote that messages were read, by their provider's ids; not asked by callers."""

    phone: Chat
    message_ids: tuple[str, ...]
    sender: str | None = None


class RejectCall(Operation[Value]):
    """Ends a call that rings; asked where the instance rejects calls."""

    phone: Chat
    call_id: str
