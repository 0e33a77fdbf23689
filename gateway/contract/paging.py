"""Pages of a list, counted from 1."""

from collections.abc import Callable
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from gateway.contract.wire import Incoming

_LARGEST_PAGE = 1_000
_FARTHEST_PAGE = 1_000_000


def clamped(max_count: int) -> Callable[[object], int]:
    """Reads a whole number, and takes what is beyond 1 and *most* for these."""

    def clamp(value: object) -> int:
        try:
            number = int(str(value))
        except ValueError:
            raise PydanticCustomError("number", "must be a whole number") from None
        return max(1, min(number, max_count))

    return clamp


class Paged(Incoming):
    """Which part of a list."""

    page: Annotated[int, BeforeValidator(clamped(_FARTHEST_PAGE)), Field(description="from 1")] = 1
    page_size: Annotated[int, BeforeValidator(clamped(_LARGEST_PAGE))] = 20

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size
