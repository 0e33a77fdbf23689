"""The nearest handler answers, along the families of a command."""

import pytest

from gateway.contract.handlers import Handlers, OperationHandlers
from gateway.contract.wire import Wire
from gateway.errors import NotSupported


class Family(Wire):
    """A family of commands."""


class Near(Family):
    """Has a handler of its own."""


class Far(Family):
    """Is left to its family."""


class Nearest(Near):
    """Its family has a family."""


class Stranger(Wire):
    """Nobody's."""


async def of_family(host: str, _command: Family) -> str:
    return f"family for {host}"


async def of_near(host: str, _command: Near) -> str:
    return f"near for {host}"


@pytest.fixture
def handlers() -> Handlers[str]:
    made: Handlers[str] = Handlers()
    made.handles(Family)(of_family)
    made.handles(Near)(of_near)
    return made


async def test_a_command_gets_its_own_handler(handlers: Handlers[str]) -> None:
    assert await handlers.handle("me", Near()) == "near for me"


async def test_command_without_a_handler_uses_its_base_class(handlers: Handlers[str]) -> None:
    assert await handlers.handle("me", Far()) == "family for me"


async def test_the_nearest_family_wins(handlers: Handlers[str]) -> None:
    assert await handlers.handle("me", Nearest()) == "near for me"


async def test_command_without_any_handler_is_not_supported(handlers: Handlers[str]) -> None:
    with pytest.raises(NotSupported, match="Stranger"):
        await handlers.handle("me", Stranger())


def test_support_is_told_without_asking(handlers: Handlers[str]) -> None:
    assert handlers.supports(Nearest)
    assert handlers.supports(Far)
    assert not handlers.supports(Stranger)
    assert not handlers.supports(Wire)


def test_second_handler_of_a_command_is_refused(handlers: Handlers[str]) -> None:
    with pytest.raises(TypeError, match="Near already has a handler"):
        handlers.handles(Near)(of_near)


async def test_two_tables_become_one(handlers: Handlers[str]) -> None:
    other: Handlers[str] = Handlers()

    @other.handles(Stranger)
    async def of_stranger(_host: str, _command: Stranger) -> str:
        return "stranger"

    both = handlers | other

    assert await both.handle("me", Stranger()) == "stranger"
    assert await both.handle("me", Near()) == "near for me"
    assert {command for command, _ in both} == {Family, Near, Stranger}
    assert not handlers.supports(Stranger)


def test_tables_with_one_command_twice_are_refused(handlers: Handlers[str]) -> None:
    other: Handlers[str] = Handlers()
    other.handles(Near)(of_near)
    other.handles(Family)(of_family)

    with pytest.raises(TypeError, match="two handlers for Family, Near"):
        _ = handlers | other


async def test_operation_handlers_make_a_context_per_call(handlers: Handlers[str]) -> None:
    room = OperationHandlers(handlers, lambda subject: f"host of {subject}")

    assert await room.answer("one", Near()) == "near for host of one"
    assert await room.answer("two", Far()) == "family for host of two"
    assert room.supports(Far)
    assert not room.supports(Stranger)
