"""Renders the answer of an operation as a response."""

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson
from pydantic import BaseModel
from starlette.responses import PlainTextResponse, Response

from gateway.api.json_response import JsonResponse
from gateway.contract.operation import Operation, Picture

_NO_CONTENT = 204
_ITEMS_AT_ONCE = 1_000


async def as_response(declared: type[Operation[Any]], answer: object) -> Response:
    if declared.answer_status == _NO_CONTENT:
        return Response(status_code=_NO_CONTENT)
    if isinstance(answer, Picture):
        return Response(answer.content, media_type=answer.mime_type)
    if isinstance(answer, str):
        return PlainTextResponse(answer, status_code=declared.answer_status)
    if isinstance(answer, list | tuple):
        content = await _json_list(answer)
        return Response(content, declared.answer_status, media_type=JsonResponse.media_type)
    return JsonResponse(_plain(answer), status_code=declared.answer_status)


async def _json_list(answer: Sequence[object]) -> bytes:
    """Returns a list as JSON; the event loop serves others after each thousand of items."""
    written: list[bytes] = []
    for start in range(0, len(answer), _ITEMS_AT_ONCE):
        if start:
            await asyncio.sleep(0)
        items = [_plain(item) for item in answer[start : start + _ITEMS_AT_ONCE]]
        written.append(orjson.dumps(items)[1:-1])
    return b"[" + b",".join(written) + b"]"


def _plain(answer: object) -> object:
    if isinstance(answer, BaseModel):
        return answer.model_dump(by_alias=True, mode="json")
    if isinstance(answer, list | tuple):
        return [_plain(item) for item in answer]
    return answer
