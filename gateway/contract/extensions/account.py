"""An account: its audit log, its rule for people who opted out, and encryption of content."""

from datetime import datetime
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.operation import AuditedState, Value
from gateway.contract.paging import Paged
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import OmitIfNone, Wire
from gateway.contract.zapi.partner import PartnerOperation

_MAX_WORD_LENGTH, _MAX_TEXT_LENGTH = 64, 255


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
    """The administrative actions of the account, the latest first. An extension.

    Without a filter, all of them. `act` and `credential` are matched whole, `user` and `address` in
    part.
    `outcome` is `done` or `failed`. `from` and `to` are times with an offset; `to` itself is not
    included.
    """

    scope = ApiScope.MANAGE
    absolute = True
    example: ClassVar[Example] = {
        "page": 1,
        "pageSize": 20,
        "act": "PauseQueue",
        "outcome": "done",
        "from": "2026-01-01T00:00:00Z",
    }
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

    act: Annotated[str, StringConstraints(max_length=_MAX_WORD_LENGTH)] | None = None
    user: Annotated[str, StringConstraints(max_length=_MAX_TEXT_LENGTH)] | None = None
    credential: Annotated[str, StringConstraints(max_length=_MAX_WORD_LENGTH)] | None = None
    caller_address: Annotated[
        Annotated[str, StringConstraints(max_length=_MAX_WORD_LENGTH)] | None,
        Field(alias="address"),
    ] = None
    instance_id: Annotated[str, StringConstraints(max_length=_MAX_WORD_LENGTH)] | None = None
    outcome: Annotated[Literal["done", "failed"], ANY_CASE] | None = None
    since: AwareDatetime | None = Field(None, alias="from")
    until: AwareDatetime | None = Field(None, alias="to")


class UsedOf(Wire):
    """How much is used of how much is allowed; a limit of 0 is none."""

    used: int
    limit: int


class Usage(Wire):
    """What an account uses, and what it may.

    Requests per second and followers of `/events` count on each node, `requestsBurst` are those
    that may come at once, `uploads` the bodies that may arrive at once, `testsPerMinute` tests of
    webhooks and of proxies; 0 is no limit. `waiting` are the messages in all its queues, and
    `longestQueue` has the limit of each queue.
    """

    requests_per_second: float
    requests_burst: int
    instance_requests_per_second: float
    instance_requests_burst: int
    uploads: int
    tests_per_minute: float
    instances: UsedOf
    stored_bytes: UsedOf
    followers: UsedOf
    waiting: int
    longest_queue: UsedOf


class ReadUsage(PartnerOperation[Usage], method="GET", path="/account/usage"):
    """What the account uses of what it may. An extension."""

    scope = ApiScope.READ
    absolute = True
    example: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "requestsPerSecond": 200.0,
        "requestsBurst": 2000,
        "instanceRequestsPerSecond": 50.0,
        "instanceRequestsBurst": 500,
        "uploads": 500,
        "testsPerMinute": 6.0,
        "instances": {"used": 12, "limit": 1000},
        "storedBytes": {"used": 73400320, "limit": 53687091200},
        "followers": {"used": 1, "limit": 50},
        "waiting": 340,
        "longestQueue": {"used": 210, "limit": 100000},
    }


class EventTicket(Wire):
    """A ticket for one connection to `/events/ws`, until it expires."""

    ticket: str
    expires_at: datetime


class IssueEventTicket(PartnerOperation[EventTicket], method="POST", path="/events/ticket"):
    """A ticket with which a browser opens the WebSocket `/events/ws?ticket=...`. An extension.

    A browser cannot send a token in a header there, and an address is written into logs. The ticket
    is good for one connection within a minute.
    """

    scope = ApiScope.READ
    absolute = True
    example: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "ticket": "c7b0f7a1d8e94c1f8e0d5a4b3c2d1e0f9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d",
        "expiresAt": "2026-01-31T12:01:00Z",
    }


Default = Literal["default"]


def _no_boolean(value: object) -> object:
    if isinstance(value, bool):
        raise PydanticCustomError("number", "must be a whole number")
    return value


NO_BOOLEAN: Final = BeforeValidator(_no_boolean)
"""Refuses `true`, which pydantic reads as 1."""


class EffectiveSettings(Wire):
    """What applies: the value of the instance, else of the account, else of the service."""

    number_lookup: bool
    messages_per_minute: int
    client_token_manages: bool


class OwnSettings(Wire):
    """What the account, or the instance, sets itself; a key that it does not set is left out."""

    number_lookup: bool | None = OmitIfNone
    messages_per_minute: int | None = OmitIfNone
    client_token_manages: bool | None = OmitIfNone


class AccountSettings(Wire):
    """The settings of an account or of one of its instances."""

    instance_id: str | None = OmitIfNone
    own: OwnSettings
    effective: EffectiveSettings


_SETTINGS: Final = {
    "own": {"messagesPerMinute": 30},
    "effective": {"numberLookup": True, "messagesPerMinute": 30, "clientTokenManages": True},
}


class ReadAccountSettings(
    PartnerOperation[AccountSettings], method="GET", path="/account/settings"
):
    """The settings by which the account differs from the service. An extension.

    With `instanceId`, those of one instance.
    """

    scope = ApiScope.READ
    absolute = True
    example: ClassVar[Example] = {"instanceId": "3C67AB641C8AA0412F6A2242B4E23AC7"}
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = _SETTINGS

    instance_id: str | None = None


class ChangeAccountSettings(
    PartnerOperation[AccountSettings], method="PUT", path="/account/settings"
):
    """Switches things on or off for the account, or with `instanceId` for one instance.

    A key that is not given stays; `default` removes it, so that the account, or the service,
    decides. Unknown keys are refused. An extension.
    """

    scope = ApiScope.MANAGE
    absolute = True
    audited_state = AuditedState.ACCOUNT
    example: ClassVar[Example] = {"messagesPerMinute": 30, "numberLookup": "default"}
    example_minimal: ClassVar[Example] = {"messagesPerMinute": 30}
    answer_example: ClassVar[Any] = _SETTINGS

    instance_id: Annotated[
        str | None, Field(description="only for this instance; without it, for all of the account")
    ] = None
    number_lookup: Annotated[
        bool | Default | None,
        Field(description="whether an unknown number is looked up before a send"),
    ] = None
    messages_per_minute: Annotated[
        Annotated[int, Field(ge=0, le=6_000), NO_BOOLEAN] | Default | None,
        Field(
            description="attempts of an instance in any minute; 0 is no limit of its own, and a "
            "limit of the account or the operator that is lower counts"
        ),
    ] = None
    client_token_manages: Annotated[
        bool | Default | None,
        Field(
            description="whether the Client-Token works on routes of the account, such as this "
            "one; not with `instanceId`"
        ),
    ] = None


class SetConsentRule(PartnerOperation[Value], method="PUT", path="/account/refuse-opted-out"):
    """Whether messages to people who revoked their consent are refused (403). An extension."""

    scope = ApiScope.MANAGE
    absolute = True
    audited_state = AuditedState.ACCOUNT
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

    scope = ApiScope.READ
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

    scope = ApiScope.MANAGE
    absolute = True
    audited = True
    failures = (*PartnerOperation.failures, _CONFLICT)
    example: ClassVar[Example] = {"value": "on"}
    answer_example: ClassVar[Any] = _STATE_EXAMPLE

    value: EncryptionRule
