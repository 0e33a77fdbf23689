"""The answer to a request that no route sees."""

from http import HTTPStatus

import orjson


def refusal(status: HTTPStatus, text: str) -> bytes:
    """Returns the whole response; the connection ends with it."""
    body = orjson.dumps({"error": text, "message": text})
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
    ]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        lines.append("retry-after: 5")
    return "\r\n".join((*lines, "", "")).encode() + body
