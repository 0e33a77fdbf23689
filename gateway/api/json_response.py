"""Responses in JSON."""

from typing import Any

import orjson
from starlette.responses import Response


class JsonResponse(Response):
    """Renders with orjson, which is fast and supports datetimes."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:  # noqa: ANN401 - any JSON value
        return orjson.dumps(content)
