"""An account at a glance: its instances, its state now, and what needs attention."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from gateway.contract.choices import ANY_CASE
from gateway.contract.documented import Example
from gateway.contract.paging import MAX_PAGE, between
from gateway.contract.scopes import ApiScope
from gateway.contract.wire import Incoming, Wire
from gateway.contract.zapi.partner import PartnerOperation

_MAX_PAGE_SIZE = 200
_MAX_QUIET_DAYS = 3_650
_MAX_TEXT_LENGTH = 255
_ID = "3C67AB641C8AA0412F6A2242B4E23AC7"

ConnectionStateName = Literal[
    "connected",
    "connecting",
    "disconnected",
    "unpaired",
    "logged_out",
    "replaced",
    "banned",
    "outdated",
]
InstanceOrder = Literal["name", "created", "state", "downSince", "lastMessage", "waiting"]


class OverviewInstance(Wire):
    """An instance with its connection and its queue; it shows no token.

    `stateText` says the state in a sentence, `downSince` since when it is not connected.
    `waiting` counts queued messages, scheduled ones too. `pausedSince` is null where the queue is
    not paused, or was paused before the gateway noted it.
    """

    id: str
    name: str
    provider: str
    phone: str | None
    created_at: datetime
    state: str
    state_text: str
    reason: str | None
    down_since: datetime | None
    waiting: int
    failed: int
    last_message_at: datetime | None
    paused: bool
    paused_since: datetime | None
    held_until: datetime | None
    held_by: Literal["daily_limit", "linking", "whatsapp"] | None


class OverviewInstancePage(Wire):
    """A page of instances; `total` counts those that fit, `states` them without the state asked."""

    total: int
    page: int
    page_size: int
    states: dict[str, int]
    instances: tuple[OverviewInstance, ...]


class ListOverviewInstances(
    PartnerOperation[OverviewInstancePage], Incoming, method="GET", path="/account/instances"
):
    """The instances of the account with connection, queue and last message. An extension.

    `query` finds a text in name, id or phone; `state` one state, or `down` for all but `connected`.
    `quietDays` finds those that wrote and received nothing for so many days.
    `sort` is `name` (the default), `created`, `state`, `downSince`, `lastMessage` or `waiting`.
    """

    scope = ApiScope.READ
    absolute = True
    example: ClassVar[Example] = {
        "page": 1,
        "pageSize": 50,
        "query": "desk",
        "state": "down",
        "sort": "downSince",
        "descending": False,
    }
    example_minimal: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "total": 1,
        "page": 1,
        "pageSize": 50,
        "states": {"disconnected": 1},
        "instances": [
            {
                "id": _ID,
                "name": "Front desk",
                "provider": "my-provider",
                "phone": "5511999999999",
                "createdAt": "2026-01-01T00:00:00Z",
                "state": "disconnected",
                "stateText": "The phone is linked, but WhatsApp is out of reach.",
                "reason": None,
                "downSince": "2026-01-31T11:40:00Z",
                "waiting": 12,
                "failed": 0,
                "lastMessageAt": "2026-01-31T11:39:00Z",
                "paused": False,
                "pausedSince": None,
                "heldUntil": None,
                "heldBy": None,
            }
        ],
    }

    page: Annotated[int, BeforeValidator(between(1, MAX_PAGE))] = 1
    page_size: Annotated[int, BeforeValidator(between(1, _MAX_PAGE_SIZE))] = 50
    query: Annotated[str, StringConstraints(max_length=_MAX_TEXT_LENGTH)] = ""
    state: Annotated[ConnectionStateName | Literal["down"] | None, ANY_CASE] = None
    provider: Annotated[str, StringConstraints(max_length=_MAX_TEXT_LENGTH)] | None = None
    quiet_days: Annotated[int | None, Field(ge=1, le=_MAX_QUIET_DAYS)] = None
    sort: InstanceOrder = "name"
    descending: bool = False

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.page_size


class Severity(StrEnum):
    """How much a finding matters."""

    CRITICAL = "critical"
    """Messages do not leave or do not arrive."""
    WARNING = "warning"
    """Something waits for a decision, or will stop soon."""
    INFO = "info"
    """Something is not set up yet."""


class FindingKind(StrEnum):
    """What can need attention: of an instance, of the account, or of the installation."""

    BANNED = "banned"
    LOGGED_OUT = "logged_out"
    DISCONNECTED = "disconnected"
    REPLACED = "replaced"
    OUTDATED = "outdated"
    CONNECTING = "connecting"
    UNPAIRED = "unpaired"
    QUEUE_PAUSED = "queue_paused"
    LINKING_UNCONFIRMED = "linking_unconfirmed"
    CONNECTION_UNHEALTHY = "connection_unhealthy"
    HELD_BY_WHATSAPP = "held_by_whatsapp"
    FIRST_CONTACTS_HELD = "first_contacts_held"
    DAILY_LIMIT = "daily_limit"
    QUEUE_STALLED = "queue_stalled"
    QUEUE_NEARLY_FULL = "queue_nearly_full"
    MESSAGES_FAILED = "messages_failed"
    DEAD_LETTERS = "dead_letters"
    WEBHOOK_FAILING = "webhook_failing"
    NO_WEBHOOK = "no_webhook"
    TRIAL_ENDED = "trial_ended"
    STORAGE_NEARLY_FULL = "storage_nearly_full"
    NODE_EXPIRED = "node_expired"
    INSTANCES_WITHOUT_NODE = "instances_without_node"
    VERSIONS_DIFFER = "versions_differ"
    DATABASE_READ_ONLY = "database_read_only"
    CONNECTIONS_NEARLY_USED = "connections_nearly_used"
    DISK_NEARLY_FULL = "disk_nearly_full"


class OverviewFinding(Wire):
    """Something that needs attention, and its `cure` in one sentence.

    `subject` is the name of the instance, or what else it is about. `count` says how many messages,
    callbacks or instances, 1 where nothing is counted. `until` is when it ends by itself.
    """

    kind: FindingKind
    severity: Severity
    subject: str
    instance_id: str | None
    account_id: str | None
    since: datetime | None
    until: datetime | None
    count: int
    text: str
    cure: str


class InstanceCounts(Wire):
    """How many instances there are, how many are connected, and how many have each state."""

    total: int
    connected: int
    states: dict[str, int]


class QueueTotals(Wire):
    """All queues: `failed` can be retried, `sentRecently` counts the last five minutes.

    `oldestSeconds` is how long the oldest message that may leave has been due.
    """

    waiting: int
    scheduled: int
    failed: int
    failed_last_hour: int
    sent_recently: int
    oldest_seconds: float | None


class CallbackTotals(Wire):
    """Callbacks: `waiting` for delivery, `deadLetters` given up.

    `lagSeconds` is how late they are; one for a receiver that does not answer is not counted.
    """

    waiting: int
    lag_seconds: float | None
    dead_letters: int


class Overview(Wire):
    """The state of the account now, and what needs attention, the most severe first.

    Of each kind at most 20 findings are listed, the oldest; `findingCounts` counts all.
    """

    instances: InstanceCounts
    queue: QueueTotals
    callbacks: CallbackTotals
    findings: tuple[OverviewFinding, ...]
    finding_counts: dict[str, int]


_FINDING: Final = {
    "kind": "disconnected",
    "severity": "critical",
    "subject": "Front desk",
    "instanceId": _ID,
    "accountId": "0D1F4C2B8A6E4F7D9B3C5A1E7F2D8B60",
    "since": "2026-01-31T11:40:00Z",
    "until": None,
    "count": 1,
    "text": "The phone is linked, but WhatsApp is out of reach.",
    "cure": "Check that the phone is on and has internet; then restart the instance.",
}


class ReadOverview(PartnerOperation[Overview], method="GET", path="/account/overview"):
    """Queues and callbacks of the account now, and what needs attention. An extension."""

    scope = ApiScope.READ
    absolute = True
    example: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "instances": {
            "total": 12,
            "connected": 11,
            "states": {"connected": 11, "disconnected": 1},
        },
        "queue": {
            "waiting": 340,
            "scheduled": 4,
            "failed": 2,
            "failedLastHour": 1,
            "sentRecently": 57,
            "oldestSeconds": 12.5,
        },
        "callbacks": {"waiting": 3, "lagSeconds": 0.4, "deadLetters": 0},
        "findings": [_FINDING],
        "findingCounts": {"disconnected": 1},
    }


class RetentionRules(Wire):
    """After how many days what is stored is deleted; 0 never deletes it."""

    history_days: int
    failed_message_days: int
    file_days: int
    callback_days: int
    dead_letter_days: int
    audit_days: int


class ReadRetention(PartnerOperation[RetentionRules], method="GET", path="/account/retention"):
    """How long messages, files, callbacks and the audit log are stored. An extension.

    The operator sets it for all accounts.
    """

    scope = ApiScope.READ
    absolute = True
    example: ClassVar[Example] = {}
    answer_example: ClassVar[Any] = {
        "historyDays": 365,
        "failedMessageDays": 30,
        "fileDays": 30,
        "callbackDays": 7,
        "deadLetterDays": 30,
        "auditDays": 90,
    }
