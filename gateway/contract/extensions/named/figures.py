"""The account in figures, for the routes by instance name."""

from typing import Annotated, Any, ClassVar

from pydantic import Field

from gateway.contract.documented import Example
from gateway.contract.extensions.named.route import EXAMPLE_ID, EXAMPLE_NAME, NamedOperation
from gateway.contract.operation import Success
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Wire
from gateway.contract.zapi.partner import PartnerOperation

_NOT_FOUND, _CONFLICT = 404, 409


class NamedHealth(Success):
    """The gateway can serve this caller; the instances of the account, and those connected."""

    status: str = "ok"
    instances: int
    connected: int


class ReadNamedHealth(NamedOperation[NamedHealth], method="GET", path="/api/v2/whatsapp/health"):
    """Whether the gateway can serve this account; 503 names what is not ready. An extension."""

    scope = ApiScope.READ
    answer_example: ClassVar[Any] = {
        "success": True,
        "status": "ok",
        "instances": 3,
        "connected": 2,
    }


class QueueOfInstance(Wire):
    """An instance, and the messages in its queue by state."""

    instance_id: str
    instance_name: str
    connected: bool
    paused: bool
    waiting: int
    by_status: dict[str, int]


class NamedMetrics(Success):
    """The sums of the account, and each of its instances, the longest queue first.

    `waiting` are the messages that are not failed. At most 1000 instances are listed.
    """

    instances: int
    connected: int
    waiting: int
    by_status: dict[str, int]
    queues: tuple[QueueOfInstance, ...]


_BY_STATUS: Example = {"failed": 3, "pending": 11, "scheduled": 1}


class ReadNamedMetrics(NamedOperation[NamedMetrics], method="GET", path="/api/v2/whatsapp/metrics"):
    """The messages in the queues of the account by state, or of one instance. An extension."""

    scope = ApiScope.READ
    failures = (*PartnerOperation.failures, _NOT_FOUND, _CONFLICT)
    example: ClassVar[Example] = {"instanceName": EXAMPLE_NAME}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "success": True,
        "instances": 1,
        "connected": 1,
        "waiting": 12,
        "byStatus": _BY_STATUS,
        "queues": [
            {
                "instanceId": EXAMPLE_ID,
                "instanceName": EXAMPLE_NAME,
                "connected": True,
                "paused": False,
                "waiting": 12,
                "byStatus": _BY_STATUS,
            }
        ],
    }

    instance_name: Annotated[
        str | None, Field(description="only this instance, by its name or its id")
    ] = None
    instance_id: Annotated[str | None, Field(description="the same")] = None
