"""Chooses a handler by the class of the command, falling back along its families."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from gateway.contract.wire import Wire
from gateway.errors import NotSupported

Host = TypeVar("Host")
Command = TypeVar("Command", bound=Wire)
Answer = TypeVar("Answer")
Handler = Callable[[Host, Command], Awaitable[Answer]]


class Handlers(Generic[Host]):
    """A table from command class to coroutine; *Host* is what every handler works with."""

    def __init__(self, table: Mapping[type[Wire], Handler[Host, Any, Any]] | None = None) -> None:
        self._table = dict(table or {})

    def handles(
        self, command: type[Command]
    ) -> Callable[[Handler[Host, Command, Answer]], Handler[Host, Command, Answer]]:
        """Attaches the decorated coroutine to a command or to a family of commands."""

        def attach(handler: Handler[Host, Command, Answer]) -> Handler[Host, Command, Answer]:
            if command in self._table:
                raise TypeError(f"{command.__name__} already has a handler")
            self._table[command] = handler
            return handler

        return attach

    def __or__(self, other: "Handlers[Host]") -> "Handlers[Host]":
        if clash := self._table.keys() & other._table.keys():
            raise TypeError(f"two handlers for {', '.join(sorted(c.__name__ for c in clash))}")
        return Handlers({**self._table, **other._table})

    def __iter__(self) -> Iterator[tuple[type[Wire], Handler[Host, Any, Any]]]:
        yield from self._table.items()

    def supports(self, command: type[Wire]) -> bool:
        return any(family in self._table for family in command.__mro__)

    async def handle(self, host: Host, command: Wire) -> Any:
        """The answer of the nearest handler.

        Raises:
            NotSupported: neither the class of *command* nor one of its families has a handler.
        """
        for family in type(command).__mro__:
            if handler := self._table.get(family):
                return await handler(host, command)
        raise NotSupported(type(command).__name__)


class Room(Generic[Host]):
    """Answers operations from a table; *host_for* makes what the handlers of one call work with."""

    def __init__(self, handlers: Handlers[Host], host_for: Callable[[Any], Host]) -> None:
        self._handlers, self._host_for = handlers, host_for

    def supports(self, operation: type[Wire]) -> bool:
        return self._handlers.supports(operation)

    async def answer(self, subject: Any, operation: Wire) -> Any:
        return await self._handlers.handle(self._host_for(subject), operation)
