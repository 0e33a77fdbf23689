"""Choices that are read in upper and lower case."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema


class _AnyCase:
    """In `Annotated[Literal["ON", "OFF"], ANY_CASE]` it reads `on`, too."""

    def __get_pydantic_core_schema__(
        self,
        source: Any,  # noqa: ANN401 - as pydantic calls it
        handler: GetCoreSchemaHandler,
    ) -> CoreSchema:
        spelled: Mapping[str, str] = {str(word).lower(): word for word in get_args(source)}

        def read(value: object) -> object:
            return spelled.get(value.strip().lower(), value) if isinstance(value, str) else value

        return core_schema.no_info_before_validator_function(read, handler(source))


ANY_CASE = _AnyCase()
