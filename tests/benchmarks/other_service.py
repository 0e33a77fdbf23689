"""What the services share that `compare` puts beside the gateway: a WhatsApp in memory, a callback.

They run where requirements.txt is installed, so that this imports nothing of the project.
DATABASE_URL and CALLBACK_URL say where they store and post to.
"""

import json
import os
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

DATABASE_URL = os.environ.get("DATABASE_URL", "")
_CALLBACK_URL = os.environ.get("CALLBACK_URL", "")
_TOKEN = os.environ.get("TOKEN", "")
_ACCEPT_SECONDS = (0.05, 0.2)  # as `steady_gateway`

Fields = dict[str, Any]
Enqueue = Callable[[Fields], Awaitable[None]]
Opened = Callable[[], AbstractAsyncContextManager[Enqueue]]


def service_of(opened: Opened) -> Starlette:
    """Returns the web server: a route that enqueues a text and answers with its id."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with opened() as app.state.enqueue:
            yield

    async def send_text(request: Request) -> Response:
        if request.path_params["token"] != _TOKEN:
            return JSONResponse({"error": "Instance not found"}, 403)
        body = await request.json()
        message = {
            "messageId": uuid.uuid4().hex.upper(),
            "instanceId": request.path_params["instance_id"],
            "phone": str(body["phone"]),
            "text": str(body["message"]),
        }
        await request.app.state.enqueue(message)
        return JSONResponse({"messageId": message["messageId"]})

    path = "/instances/{instance_id}/token/{token}/send-text"
    return Starlette(routes=[Route(path, send_text, methods=["POST"])], lifespan=lifespan)


async def send(http: httpx.AsyncClient, message: Fields) -> None:
    """Sends a text, and posts its callback.

    Raises:
        httpx.HTTPError: the receiver did not take the callback.
    """
    await anyio.sleep(random.uniform(*_ACCEPT_SECONDS))
    body = json.dumps(
        {
            "type": "DeliveryCallback",
            "instanceId": message["instanceId"],
            "messageId": message["messageId"],
            "phone": message["phone"],
        }
    )
    headers = {"Content-Type": "application/json"}
    answer = await http.post(_CALLBACK_URL, content=body, headers=headers)
    answer.raise_for_status()
