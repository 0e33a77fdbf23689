"""An account: its audit log, and its rule for people who opted out."""

from datetime import datetime
from typing import Any, ClassVar

from gateway.contract.documented import Example
from gateway.contract.operation import Value
from gateway.contract.paging import Paged
from gateway.contract.wire import Wire
from gateway.contract.zapi.partner import PartnerOperation


class Act(Wire):
    """An administrative action; `act` is the name of the operation."""

    at: datetime
    instance_id: str | None
    act: str
    address: str | None


class ListActs(PartnerOperation[tuple[Act, ...]], Paged, method="GET", path="/account/audit"):
    """Every administrative action of the account, the latest first. An extension."""

    absolute = True
    example: ClassVar[Example] = {"page": 1, "pageSize": 20}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = [
        {
            "at": "2026-01-01T00:00:00Z",
            "instanceId": "3C67AB641C8AA0412F6A2242B4E23AC7",
            "act": "ErasePerson",
            "address": "203.0.113.7",
        }
    ]


class SetConsentRule(PartnerOperation[Value], method="PUT", path="/account/refuse-opted-out"):
    """Whether messages to people who revoked their consent are refused (403). An extension."""

    absolute = True
    audited = True
    example: ClassVar[Example] = {"value": False}
    answer_example: ClassVar[Any] = {"value": True}

    value: bool
