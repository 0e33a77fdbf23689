"""An account: its audit log, and its rule for people who opted out."""

from datetime import datetime
from typing import Any, ClassVar

from pydantic import Field

from gateway.contract.documented import Example
from gateway.contract.operation import AuditedState, Value
from gateway.contract.paging import Paged
from gateway.contract.wire import Wire
from gateway.contract.zapi.partner import PartnerOperation


class Act(Wire):
    """An administrative action; `act` is the name of the operation.

    `credential` is what the caller showed, `user` who held it where that is known. `given` are
    fields of the request, `before` and `after` the values that differ: none is a text, a phone or a
    secret. `outcome` is `done` or the kind of the error; null while the action runs.
    """

    at: datetime
    instance_id: str | None
    act: str
    address: str | None
    credential: str | None = None
    user: str | None = None
    outcome: str | None = None
    given: dict[str, Any] = Field(default_factory=dict)
    before: dict[str, Any] = Field(default_factory=dict)
    after: dict[str, Any] = Field(default_factory=dict)


class ListActs(PartnerOperation[tuple[Act, ...]], Paged, method="GET", path="/account/audit"):
    """Every administrative action of the account, the latest first. An extension."""

    absolute = True
    example: ClassVar[Example] = {"page": 1, "pageSize": 20}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = [
        {
            "at": "2026-01-01T00:00:00Z",
            "instanceId": "3C67AB641C8AA0412F6A2242B4E23AC7",
            "act": "PauseQueue",
            "address": "203.0.113.7",
            "credential": "instance_token",
            "user": None,
            "outcome": "done",
            "given": {},
            "before": {"paused": False},
            "after": {"paused": True},
        }
    ]


class SetConsentRule(PartnerOperation[Value], method="PUT", path="/account/refuse-opted-out"):
    """Whether messages to people who revoked their consent are refused (403). An extension."""

    absolute = True
    audited_state = AuditedState.ACCOUNT
    example: ClassVar[Example] = {"value": False}
    answer_example: ClassVar[Any] = {"value": True}

    value: bool
