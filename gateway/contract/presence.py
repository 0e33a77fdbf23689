"""What a chat shows while we are busy with it."""

from gateway.contract.operation import Operation, Value
from gateway.contract.wire import Chat


class ShowTyping(Operation[Value]):
    """Shows "typing..." to a chat for some seconds; asked by the worker, not by callers."""

    phone: Chat
    seconds: float
