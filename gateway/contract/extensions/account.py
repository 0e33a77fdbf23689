"""An account: its audit log, its rule for people who opted out, and encryption of content."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

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


_CONFLICT = 409
_STATE_EXAMPLE: Final = {
    "value": "on",
    "encrypts": True,
    "finished": True,
    "keys": ["5f3a9c01"],
    "unopened": 0,
}


EncryptionRule = Literal["on", "off", "default"]


class PayloadEncryptionState(Wire):
    """Whether the account's content is encrypted in Postgres, and how far stored rows follow."""

    value: Annotated[
        EncryptionRule, Field(description="the rule; `default` follows the operator's setting")
    ]
    encrypts: Annotated[bool, Field(description="what is written now is encrypted")]
    finished: Annotated[bool, Field(description="every stored row follows the rule")]
    keys: Annotated[tuple[str, ...], Field(description="ids of the keys that rows may still need")]
    unopened: Annotated[int, Field(description="rows that no key of the gateway opens")]


class ReadPayloadEncryption(
    PartnerOperation[PayloadEncryptionState], method="GET", path="/account/payload-encryption"
):
    """Whether the content of messages and callbacks is encrypted in Postgres. An extension."""

    absolute = True
    example: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = _STATE_EXAMPLE


class SetPayloadEncryption(
    PartnerOperation[PayloadEncryptionState], method="PUT", path="/account/payload-encryption"
):
    """Encrypts the content of messages and callbacks in Postgres, or stops. An extension.

    What is written from now on follows at once, stored rows within minutes. `default` follows the
    operator's setting.
    """

    absolute = True
    audited = True
    failures = (*PartnerOperation.failures, _CONFLICT)
    example: ClassVar[Example] = {"value": "on"}
    answer_example: ClassVar[Any] = _STATE_EXAMPLE

    value: EncryptionRule
