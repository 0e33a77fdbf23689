"""Chooses the handler of a command by its class, or by the nearest of its base classes."""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from gateway.contract.wire import Wire
from gateway.errors import NotSupported

HandlerContext = TypeVar("HandlerContext")
Command = TypeVar("Command", bound=Wire)
CommandResult = TypeVar("CommandResult")
Handler = Callable[[HandlerContext, Command], Awaitable[CommandResult]]


class Handlers(Generic[HandlerContext]):
    """A table from command class to coroutine; *HandlerContext* is the first argument of each."""

    def __init__(
        self, table: Mapping[type[Wire], Handler[HandlerContext, Any, Any]] | None = None
    ) -> None:
        self._table = dict(table or {})

    def handles(
        self, command: type[Command]
    ) -> Callable[
        [Handler[HandlerContext, Command, CommandResult]],
        Handler[HandlerContext, Command, CommandResult],
    ]:
        """Registers the decorated coroutine for a command, or for a base class of commands."""

        def attach(
            handler: Handler[HandlerContext, Command, CommandResult],
        ) -> Handler[HandlerContext, Command, CommandResult]:
            if command in self._table:
                raise TypeError(f"{command.__name__} already has a handler")
            self._table[command] = handler
            return handler

        return attach

    def __or__(self, other: "Handlers[HandlerContext]") -> "Handlers[HandlerContext]":
        if clash := self._table.keys() & other._table.keys():
            raise TypeError(f"two handlers for {', '.join(sorted(c.__name__ for c in clash))}")
        return Handlers({**self._table, **dict(other)})

    def replaced_by(self, other: "Handlers[HandlerContext]") -> "Handlers[HandlerContext]":
        """Returns this table with those of *other*, which count where both have one."""
        return Handlers({**self._table, **dict(other)})

    def __iter__(self) -> Iterator[tuple[type[Wire], Handler[HandlerContext, Any, Any]]]:
        yield from self._table.items()

    def supports(self, command: type[Wire]) -> bool:
        return any(family in self._table for family in command.__mro__)

    async def handle(self, context: HandlerContext, command: Wire) -> Any:
        """The result of the nearest handler.

        Raises:
            NotSupported: neither the class of *command* nor a base class has a handler.
        """
        for family in type(command).__mro__:
            if handler := self._table.get(family):
                return await handler(context, command)
        raise NotSupported(type(command).__name__)


class OperationHandlers(Generic[HandlerContext]):
    """Executes operations by a table.

    Args:
        handlers: the table.
        context_for: makes the context of one call.
        awaits_others: some handlers mostly wait for a session or another server.
    """

    def __init__(
        self,
        handlers: Handlers[HandlerContext],
        context_for: Callable[[Any], HandlerContext],
        *,
        awaits_others: bool = False,
    ) -> None:
        self._handlers, self._context_for = handlers, context_for
        self.awaits_others = awaits_others

    def supports(self, operation: type[Wire]) -> bool:
        return self._handlers.supports(operation)

    async def answer(self, subject: Any, operation: Wire) -> Any:
        return await self._handlers.handle(self._context_for(subject), operation)
