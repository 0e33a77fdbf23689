"""Pages of a list, counted from 1."""

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.bounds import clamp
from gateway.contract.wire import Incoming

_MAX_PAGE_SIZE = 1_000
MAX_PAGE = 1_000_000


def between(low: int, high: int) -> Callable[[object], int]:
    """Reads a whole number; one outside of the range becomes its nearer end."""
    return lambda value: clamp(_whole(value), low, high)


def up_to(high: int) -> Callable[[object], int]:
    """Reads how many items to return: at least one; more than *high* becomes *high*."""

    def read(value: object) -> int:
        if (number := _whole(value)) < 1:
            raise PydanticCustomError("too_few", "must be at least 1")
        return min(number, high)

    return read


def _whole(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise PydanticCustomError("number", "must be a whole number") from None


class Paged(Incoming):
    """Which part of a list."""

    page: Annotated[int, BeforeValidator(between(1, MAX_PAGE)), Field(description="from 1")] = 1
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 20

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size
