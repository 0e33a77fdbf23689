"""A route that reads the same body through the same model, and does nothing with it."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.json_response import JsonResponse
from gateway.contract.zapi.messages.text import SendText


async def accept(request: Request) -> Response:
    SendText.model_validate_json(await request.body())
    return JsonResponse({"zaapId": "0" * 32, "messageId": "0" * 22, "id": "0" * 22})


app = Starlette(
    routes=[Route("/instances/{instance_id}/token/{token}/send-text", accept, methods=["POST"])]
)
