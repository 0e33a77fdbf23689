"""Pages of a list, counted from 1."""

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.contract.wire import Incoming

_MAX_PAGE_SIZE = 1_000
MAX_PAGE = 1_000_000


def clamped(maximum: int) -> Callable[[object], int]:
    """A validator that reads a whole number and limits it to 1 to *maximum*."""

    def clamp(value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise PydanticCustomError("number", "must be a whole number") from None
        return max(1, min(number, maximum))

    return clamp


class Paged(Incoming):
    """Which part of a list."""

    page: Annotated[int, BeforeValidator(clamped(MAX_PAGE)), Field(description="from 1")] = 1
    page_size: Annotated[int, BeforeValidator(clamped(_MAX_PAGE_SIZE))] = 20

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size
