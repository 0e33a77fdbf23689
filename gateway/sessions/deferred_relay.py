"""Reads a file from the folder of another node, over that node's internal listener.

    this node    find who serves the folder  ->  sign  ->  POST /deferred/<folder>/<file>/<span>
    other node   check signature, age, folder and nonce  ->  answer the bytes

The head of the call is the one of `gateway.sessions.relay`, with the folder in place of the node:
the workers of one machine share a folder, and each of them may answer.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import httpx

from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.errors import Unavailable
from gateway.media.deferred_files import DeferredPlace, Span
from gateway.observability.logging import logger
from gateway.observability.metrics import Metrics
from gateway.randomness import RandomBytes
from gateway.sessions.relay_calls import (
    MAX_AGE_SECONDS,
    CallHead,
    SeenNonces,
    digest_of,
    head_of,
)

_READ_TIME = query("media", "read_time")

_NONCE_BYTES: Final = 16
_NO_EPOCH: Final = 0
_WHOLE: Final = "whole"
_SPAN: Final = re.compile(r"([0-9]{1,15})-([0-9]{1,15})", re.ASCII)
_OK, _FORBIDDEN, _NOT_FOUND = 200, 403, 404


@dataclass(frozen=True, slots=True)
class DeferredFileCaller:
    """The calling side."""

    http: httpx.AsyncClient
    random_bytes: RandomBytes
    secret: str

    async def open(
        self, place: DeferredPlace, file_id: str, span: Span | None
    ) -> AsyncIterator[bytes]:
        """Returns the bytes of a file that another node keeps.

        Raises:
            Unavailable: the node does not answer, or no longer has the file.
        """
        path = f"/deferred/{place.folder_id}/{file_id}/{_text_of(span)}"
        nonce = self.random_bytes(_NONCE_BYTES).hex()
        at_seconds, digest = int(place.database_seconds), digest_of(b"")
        head = CallHead(path, str(place.folder_id), _NO_EPOCH, at_seconds, 0, nonce, digest)
        request = self.http.build_request(
            "POST", place.internal_address + path, headers=head.headers(self.secret), content=b""
        )
        try:
            response = await self.http.send(request, stream=True)
        except httpx.HTTPError as error:
            logger.warning(
                "deferred_file_unreachable", node_id=place.node_id, error=type(error).__name__
            )
            raise Unavailable("The node that keeps this file is out of reach right now") from None
        if response.status_code != _OK:
            await response.aclose()
            logger.warning(
                "deferred_file_refused", node_id=place.node_id, status=response.status_code
            )
            raise Unavailable("The node that keeps this file did not answer with it")
        return _content_of(response)


@dataclass(frozen=True, slots=True)
class _Time:
    database_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredFileServer:
    """The answering side.

    Attributes:
        folder_id: the folder of this node.
        secrets: the current secret and the earlier ones.
        open_here: returns the bytes of a file in the folder; None if it is not there.
        database: has the time against which calls are checked.
        metrics: counts the calls that are refused.
    """

    folder_id: str
    secrets: Sequence[str]
    open_here: Callable[[str, Span | None], Awaitable[AsyncIterator[bytes] | None]]
    database: Database
    metrics: Metrics
    _seen: SeenNonces = field(default_factory=SeenNonces)

    async def answer(
        self, folder_id: str, file_id: str, span: str, headers: Mapping[str, str]
    ) -> tuple[int, AsyncIterator[bytes] | None]:
        """Returns the HTTP status, and the bytes of the file if the call is right."""
        call = head_of(f"/deferred/{folder_id}/{file_id}/{span}", headers)
        if call is None or not await self._is_right(call, headers.get("x-relay-signature", "")):
            self.metrics.relay_call_refused("head")
            return _FORBIDDEN, None
        found = _SPAN.fullmatch(span)
        part = (int(found[1]), int(found[2])) if found else None
        pieces = await self.open_here(file_id, part)
        return (_OK, pieces) if pieces is not None else (_NOT_FOUND, None)

    async def _is_right(self, call: CallHead, signature: str) -> bool:
        if not call.is_form_2 or not call.is_signed(signature, self.secrets):
            return False
        now = await self.database.fetch_one(_Time, _READ_TIME)
        assert now is not None
        return (
            call.node_id == self.folder_id
            and abs(now.database_seconds - call.at_seconds) < MAX_AGE_SECONDS
            and self._seen.add(call.nonce, now.database_seconds)
        )


def _text_of(span: Span | None) -> str:
    return _WHOLE if span is None else f"{span[0]}-{span[1]}"


async def _content_of(response: httpx.Response) -> AsyncIterator[bytes]:
    try:
        async for piece in response.aiter_raw():
            yield piece
    except httpx.HTTPError:
        raise Unavailable("The node that keeps this file stopped to answer") from None
    finally:
        await response.aclose()
