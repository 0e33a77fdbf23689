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

    def read(value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise PydanticCustomError("number", "must be a whole number") from None
        return clamp(number, low, high)

    return read


class Paged(Incoming):
    """Which part of a list."""

    page: Annotated[int, BeforeValidator(between(1, MAX_PAGE)), Field(description="from 1")] = 1
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 20

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size
