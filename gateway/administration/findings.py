"""What needs attention: a closed list of findings, each with its severity and its cure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from gateway.contract.extensions.overview import FindingKind, OverviewFinding, Severity
from gateway.database.pool import Database
from gateway.database.queries import query
from gateway.observability.logging import logger
from gateway.sessions.connection import ConnectionState

_LIST_FINDINGS = query("overview", "list_findings")
_MAX_OF_EACH_KIND: Final = 20
_SEVERITIES: Final = list(Severity)


@dataclass(frozen=True, slots=True)
class Advice:
    """What a kind of finding means, and what a person can do about it."""

    severity: Severity
    text: str
    cure: str


ADVICE: Final[Mapping[FindingKind, Advice]] = {
    FindingKind.BANNED: Advice(
        Severity.CRITICAL,
        ConnectionState.BANNED.sentence,
        "Ask WhatsApp for a review on the phone, or link another number.",
    ),
    FindingKind.LOGGED_OUT: Advice(
        Severity.CRITICAL,
        ConnectionState.LOGGED_OUT.sentence,
        "Scan the QR code with the phone again.",
    ),
    FindingKind.DISCONNECTED: Advice(
        Severity.CRITICAL,
        ConnectionState.DISCONNECTED.sentence,
        "Check that the phone is on and has internet; then restart the instance.",
    ),
    FindingKind.REPLACED: Advice(
        Severity.CRITICAL,
        ConnectionState.REPLACED.sentence,
        "Close the other program that uses this number, then restart the instance.",
    ),
    FindingKind.OUTDATED: Advice(
        Severity.CRITICAL,
        ConnectionState.OUTDATED.sentence,
        "Install the latest release of the gateway.",
    ),
    FindingKind.CONNECTING: Advice(
        Severity.WARNING,
        "The session has been opening for more than five minutes.",
        "Restart the instance; if that does not help, look at its proxy and at the nodes.",
    ),
    FindingKind.UNPAIRED: Advice(
        Severity.INFO,
        ConnectionState.UNPAIRED.sentence,
        "Scan the QR code with the phone.",
    ),
    FindingKind.QUEUE_PAUSED: Advice(
        Severity.WARNING,
        "The queue is paused, and messages wait in it.",
        "Resume the queue.",
    ),
    FindingKind.LINKING_UNCONFIRMED: Advice(
        Severity.CRITICAL,
        "A customer linked a phone while messages waited, so the queue waits for the owner.",
        "Check the number of the phone, then confirm it or log the phone out.",
    ),
    FindingKind.HELD_BY_WHATSAPP: Advice(
        Severity.WARNING,
        "WhatsApp limits the number, so the queue waits.",
        "Wait until the hold ends, and send more slowly to people who do not know the number.",
    ),
    FindingKind.FIRST_CONTACTS_HELD: Advice(
        Severity.WARNING,
        "WhatsApp lets the number write to known chats only, so first messages to others wait.",
        "Wait until it ends, and write less often to people who do not know the number.",
    ),
    FindingKind.CONNECTION_UNHEALTHY: Advice(
        Severity.CRITICAL,
        "The connection says that it is connected, and its checks fail.",
        "Read the reason in the connections of the instance; recover the connection.",
    ),
    FindingKind.DAILY_LIMIT: Advice(
        Severity.WARNING,
        "The daily limit is reached, so the queue waits until tomorrow.",
        "Wait, or raise the daily limit of the instance.",
    ),
    FindingKind.QUEUE_STALLED: Advice(
        Severity.CRITICAL,
        "The queue stands still although a message is due.",
        "Restart the instance; if it happens again, send the logs to the operator.",
    ),
    FindingKind.QUEUE_NEARLY_FULL: Advice(
        Severity.WARNING,
        "The queue is nearly full: further messages will be refused.",
        "Send less at once, or cancel what need not be sent any more.",
    ),
    FindingKind.MESSAGES_FAILED: Advice(
        Severity.WARNING,
        "Messages could not be sent within the last hour.",
        "Read why in the list of failed messages, then retry or delete them.",
    ),
    FindingKind.DEAD_LETTERS: Advice(
        Severity.WARNING,
        "Callbacks were given up because the receiver did not take them.",
        "Mend the receiver, then retry the dead letters or discard them.",
    ),
    FindingKind.WEBHOOK_FAILING: Advice(
        Severity.CRITICAL,
        "The receiver of a webhook does not take callbacks.",
        "Check the address of the webhook and the server behind it.",
    ),
    FindingKind.NO_WEBHOOK: Advice(
        Severity.INFO,
        "No webhook gets the messages that arrive.",
        "Set a webhook, unless nothing needs the messages.",
    ),
    FindingKind.TRIAL_ENDED: Advice(
        Severity.CRITICAL,
        "The trial or subscription has ended, so messages are refused.",
        "Subscribe the instance.",
    ),
    FindingKind.STORAGE_NEARLY_FULL: Advice(
        Severity.WARNING,
        "The stored files use nearly all the space of the account.",
        "Ask the operator for more space, or wait until old files expire.",
    ),
    FindingKind.NODE_EXPIRED: Advice(
        Severity.WARNING,
        "A node no longer answers.",
        "Start it again, or leave it: other nodes have its instances.",
    ),
    FindingKind.INSTANCES_WITHOUT_NODE: Advice(
        Severity.CRITICAL,
        "Instances are served by no node.",
        "Start a node with the role all or sender.",
    ),
    FindingKind.VERSIONS_DIFFER: Advice(
        Severity.INFO,
        "The nodes run different releases.",
        "Finish the upgrade of the remaining nodes.",
    ),
    FindingKind.DATABASE_READ_ONLY: Advice(
        Severity.CRITICAL,
        "The database takes no changes.",
        "Point the gateway to the primary server, or end the read-only mode.",
    ),
    FindingKind.CONNECTIONS_NEARLY_USED: Advice(
        Severity.WARNING,
        "Nearly all connections of the database server are in use.",
        "Raise max_connections, or lower GATEWAY_DB_POOL_SIZE.",
    ),
    FindingKind.DISK_NEARLY_FULL: Advice(
        Severity.CRITICAL,
        "The disk of the data directory is nearly full.",
        "Free some space, or move the data directory to a larger disk.",
    ),
}


@dataclass(frozen=True, slots=True)
class _Found:
    kind: str
    instance_id: str
    instance_name: str
    account_id: str
    account_name: str
    since: datetime | None
    until: datetime | None
    count: int
    of_kind: int


@dataclass(frozen=True, slots=True)
class FoundProblems:
    """Findings, the most severe first, and how many there are of each kind."""

    findings: Sequence[OverviewFinding]
    counts: Mapping[str, int]

    def with_further(self, further: Sequence[OverviewFinding]) -> "FoundProblems":
        """Returns these findings with others, which are all of their kinds."""
        counts = dict(self.counts)
        for finding in further:
            counts[finding.kind.value] = counts.get(finding.kind.value, 0) + 1
        return FoundProblems(_in_order([*self.findings, *further]), counts)


@dataclass(frozen=True, slots=True)
class ProblemFinder:
    """Reads what needs attention from the database.

    Attributes:
        database: the pool.
        stalled_seconds: how long a queue stands still before that is a finding.
        max_waiting: the limit of each queue; 0 is none.
    """

    database: Database
    stalled_seconds: float
    max_waiting: int

    async def find(self, account_id: str | None) -> FoundProblems:
        """Returns the findings of one account, or of all without one."""
        rows = await self.database.fetch_all(
            _Found,
            _LIST_FINDINGS,
            account_id=account_id,
            stalled_seconds=self.stalled_seconds,
            max_waiting=self.max_waiting,
            max_each=_MAX_OF_EACH_KIND,
        )
        known = [(kind, row) for row in rows if (kind := _kind_of(row))]
        findings = [
            finding_of(
                kind,
                subject=row.instance_name
                if account_id
                else f"{row.account_name}: {row.instance_name}",
                instance_id=row.instance_id,
                account_id=row.account_id,
                since=row.since,
                until=row.until,
                count=row.count,
            )
            for kind, row in known
        ]
        return FoundProblems(_in_order(findings), {kind.value: row.of_kind for kind, row in known})


def finding_of(
    kind: FindingKind,
    *,
    subject: str,
    instance_id: str | None = None,
    account_id: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    count: int = 1,
) -> OverviewFinding:
    """Returns a finding with the text and the cure of its kind."""
    advice = ADVICE[kind]
    return OverviewFinding(
        kind=kind,
        severity=advice.severity,
        subject=subject,
        instance_id=instance_id,
        account_id=account_id,
        since=utc(since),
        until=utc(until),
        count=count,
        text=advice.text,
        cure=advice.cure,
    )


def utc(at: datetime | None) -> datetime | None:
    return at.astimezone(UTC) if at else None


def _kind_of(row: _Found) -> FindingKind | None:
    try:
        return FindingKind(row.kind)
    except ValueError:  # a state of a later release
        logger.warning("finding_unknown", kind=row.kind)
        return None


def _in_order(findings: Sequence[OverviewFinding]) -> list[OverviewFinding]:
    return sorted(findings, key=lambda each: _SEVERITIES.index(each.severity))
