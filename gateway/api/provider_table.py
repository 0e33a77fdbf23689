"""The table of routes and the providers that support them, computed from their handlers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.api.json_response import JsonResponse
from gateway.contract.catalogue import Catalogue
from gateway.contract.documented import Documented, Requirement
from gateway.contract.extensions.connections import RecoverConnection
from gateway.contract.operation import Operation
from gateway.contract.zapi.instances import Restart
from gateway.documents.surface import spelled

Supports = Callable[[type[Any]], bool]


def provider_table(
    catalogue: Catalogue, providers: Mapping[str, Supports], by_gateway: Supports
) -> dict[str, Any]:
    """Returns every route with the providers that support it.

    A route with a requirement names it; each requirement is explained once, in words.
    *by_gateway* says which operations the gateway's own tables answer. Such an operation may need
    the session for a part, its `session_operation`: a provider supports it if it supports that.
    """
    names = sorted(providers)
    rows = [
        _row(("POST", str(send.path)), send, [n for n in names if providers[n](send)])
        for send in catalogue.sends.values()
    ]
    rows += [
        _row(
            operation.address or address,
            operation,
            [n for n in names if _is_supported(operation, providers[n], by_gateway)],
        )
        for address, operation in catalogue.operations.items()
        if address == operation.address and not operation.absolute
    ]
    return {
        "providers": names,
        "requirements": {each.name: each.value for each in Requirement},
        "operations": sorted(rows, key=lambda row: (row["path"], row["method"])),
    }


def provider_route(table: Callable[[], Mapping[str, Any]]) -> Route:
    async def show(_request: Request) -> Response:
        return JsonResponse(table())

    return Route("/providers", show)


def _is_supported(
    operation: type[Operation[Any]], provider: Supports, by_gateway: Supports
) -> bool:
    if operation in (Restart, RecoverConnection):  # the gateway does that itself
        return True
    if by_gateway(operation):
        return operation.session_operation is None or provider(operation.session_operation)
    return provider(operation)


def _row(
    address: tuple[str, str], declared: type[Documented], supported_by: Sequence[str]
) -> dict[str, Any]:
    method, path = address
    return {
        "method": method,
        "path": spelled(path),
        "operation": declared.__name__,
        "supportedBy": list(supported_by),
        "requirement": declared.requirement.name if declared.requirement else None,
    }
