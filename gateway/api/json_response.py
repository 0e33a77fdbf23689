"""JSON answers."""

from typing import Any

import orjson
from starlette.responses import Response


class JsonResponse(Response):
    """Renders with orjson, which knows datetimes and is fast."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - whatever JSON can hold
        return orjson.dumps(content)
