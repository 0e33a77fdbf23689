"""What needs attention, in words for people, and the page on which each finding is put right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from gateway.contract.extensions.overview import FindingKind, OverviewFinding, Severity
from gateway.contract.scopes import ApiScope
from gateway.panel.formats import Formats
from gateway.panel.languages import N_, NP_, locale_of
from gateway.panel.visit import Visit

MAX_SHOWN: Final = 3
"""How many findings of one kind are named; the rest is a number and a link."""


@dataclass(frozen=True, slots=True)
class CurePlace:
    """A page that cures: its entry in the navigation, what follows it, and who may change there.

    `{id}` in `end` is the id of the instance; `every` shows all that have the same finding.
    """

    entry: str
    end: str = ""
    scope: ApiScope = ApiScope.MANAGE
    every: str = ""


@dataclass(frozen=True, slots=True)
class FindingWords:
    """A kind of finding: its title, what to do, what its button says; all are English msgids.

    `counts` are msgids for one and for many, where the finding counts messages or callbacks.
    """

    title: str
    cure: str
    icon: str
    button: str = ""
    place: CurePlace | None = None
    counts: tuple[str, str] | None = None


_MESSAGES: Final = NP_("%(num)s message waits", "%(num)s messages wait")
_FAILED: Final = NP_("%(num)s message", "%(num)s messages")
_CALLBACKS: Final = NP_("%(num)s callback", "%(num)s callbacks")
_NUMBER: Final = "/panel/instances"
_QUEUE: Final = "/panel/queue"
_WEBHOOKS: Final = "/panel/webhooks"
_SYSTEM: Final = "/panel/system"
_CONNECTION: Final = CurePlace(_NUMBER, "/{id}#connection", every="?state=down")
_OF_QUEUE: Final = CurePlace(_QUEUE, "?instance={id}")
_OF_WEBHOOKS: Final = CurePlace(_WEBHOOKS, "?instance={id}", ApiScope.WEBHOOKS)

_WORDS: Final[Mapping[FindingKind, FindingWords]] = {
    FindingKind.BANNED: FindingWords(
        N_("WhatsApp has blocked this phone number"),
        N_("Open WhatsApp on the phone and ask for a review, or link another phone."),
        "lock",
        N_("Open the number"),
        _CONNECTION,
    ),
    FindingKind.LOGGED_OUT: FindingWords(
        N_("The phone ended the link"),
        N_("Scan the QR code with the phone again. What waits is not lost."),
        "qr",
        N_("Link the phone again"),
        _CONNECTION,
    ),
    FindingKind.DISCONNECTED: FindingWords(
        N_("WhatsApp is out of reach"),
        N_("Check that the phone is on and has internet, then reconnect."),
        "phone",
        N_("Open the number"),
        _CONNECTION,
    ),
    FindingKind.REPLACED: FindingWords(
        N_("Another program uses this phone"),
        N_("Close the other program, then restart the number here."),
        "phone",
        N_("Open the number"),
        _CONNECTION,
    ),
    FindingKind.OUTDATED: FindingWords(
        N_("WhatsApp no longer takes this release of the gateway"),
        N_("The operator has to install the latest release."),
        "download",
    ),
    FindingKind.CONNECTING: FindingWords(
        N_("The connection takes longer than usual"),
        N_("Restart the number. If that does not help, look at its proxy."),
        "clock",
        N_("Open the number"),
        _CONNECTION,
    ),
    FindingKind.UNPAIRED: FindingWords(
        N_("No phone is linked"),
        N_("Scan the QR code with the phone."),
        "qr",
        N_("Link a phone"),
        _CONNECTION,
    ),
    FindingKind.QUEUE_PAUSED: FindingWords(
        N_("Sending is paused, and messages wait"),
        N_("Resume sending when you are ready."),
        "pause",
        N_("Open the queue"),
        _OF_QUEUE,
        _MESSAGES,
    ),
    FindingKind.LINKING_UNCONFIRMED: FindingWords(
        N_("A linked phone waits for your confirmation"),
        N_("Your customer linked a phone. Check its number: nothing is sent until you confirm it."),
        "phone",
        N_("Check and confirm"),
        CurePlace(_NUMBER, "/{id}#connection"),
        _MESSAGES,
    ),
    FindingKind.HELD_BY_WHATSAPP: FindingWords(
        N_("WhatsApp limits this number for a while"),
        N_("Wait until it ends, and send more slowly to people who do not know the number."),
        "clock",
        N_("Open the queue"),
        _OF_QUEUE,
    ),
    FindingKind.FIRST_CONTACTS_HELD: FindingWords(
        N_("WhatsApp allows this number no new conversations for a while"),
        N_(
            "Replies go on. Wait until it ends, and write less often to people who do not know you."
        ),
        "clock",
        N_("Open the queue"),
        _OF_QUEUE,
    ),
    FindingKind.CONNECTION_UNHEALTHY: FindingWords(
        N_("The connection of this number is not well"),
        N_("Read the reason on the page of the number, and press Repair now."),
        "warning",
        N_("Open the number"),
        CurePlace(_NUMBER, "/{id}#connection"),
    ),
    FindingKind.DAILY_LIMIT: FindingWords(
        N_("The daily limit is reached"),
        N_("Sending goes on tomorrow. You can raise the limit."),
        "calendar",
        N_("Open the queue"),
        _OF_QUEUE,
    ),
    FindingKind.QUEUE_STALLED: FindingWords(
        N_("The queue stands still although messages are due"),
        N_("Restart the number. If it happens again, ask the operator."),
        "queue",
        N_("Open the number"),
        CurePlace(_NUMBER, "/{id}#connection"),
    ),
    FindingKind.QUEUE_NEARLY_FULL: FindingWords(
        N_("The queue is nearly full"),
        N_("Further messages will be refused: cancel what need not be sent any more."),
        "queue",
        N_("Open the queue"),
        _OF_QUEUE,
        _MESSAGES,
    ),
    FindingKind.MESSAGES_FAILED: FindingWords(
        N_("Messages could not be sent in the last hour"),
        N_("See why, then send them again or delete them."),
        "message",
        N_("See why"),
        CurePlace(_QUEUE, "?instance={id}#failed"),
        _FAILED,
    ),
    FindingKind.DEAD_LETTERS: FindingWords(
        N_("Your system did not take callbacks"),
        N_("Put your system right, then deliver them again."),
        "webhook",
        N_("See them"),
        CurePlace(_WEBHOOKS, "/given-up?instance={id}", ApiScope.WEBHOOKS),
        _CALLBACKS,
    ),
    FindingKind.WEBHOOK_FAILING: FindingWords(
        N_("Your system does not answer callbacks"),
        N_("Check the address of the webhook, and the server behind it."),
        "webhook",
        N_("Check the webhook"),
        _OF_WEBHOOKS,
        _CALLBACKS,
    ),
    FindingKind.NO_WEBHOOK: FindingWords(
        N_("No system gets the messages that arrive"),
        N_("Set a webhook, unless nothing needs them."),
        "webhook",
        N_("Set a webhook"),
        _OF_WEBHOOKS,
    ),
    FindingKind.TRIAL_ENDED: FindingWords(
        N_("The trial or subscription has ended"),
        N_("Messages are refused until the number is subscribed."),
        "calendar",
        N_("Open the number"),
        CurePlace(_NUMBER, "/{id}"),
    ),
    FindingKind.STORAGE_NEARLY_FULL: FindingWords(
        N_("Files use nearly all your space"),
        N_("Ask the operator for more space, or wait until old files expire."),
        "file",
    ),
    FindingKind.NODE_EXPIRED: FindingWords(
        N_("A node no longer answers"),
        N_("Start it again, or leave it: other nodes have its numbers."),
        "server",
        N_("See the nodes"),
        CurePlace(_SYSTEM, "#nodes"),
    ),
    FindingKind.INSTANCES_WITHOUT_NODE: FindingWords(
        N_("Numbers are served by no node"),
        N_("Start a node with the role all or sender."),
        "server",
        N_("See the nodes"),
        CurePlace(_SYSTEM, "#nodes"),
    ),
    FindingKind.VERSIONS_DIFFER: FindingWords(
        N_("The nodes run different releases"),
        N_("Finish the upgrade of the remaining nodes."),
        "server",
        N_("See the nodes"),
        CurePlace(_SYSTEM, "#nodes"),
    ),
    FindingKind.DATABASE_READ_ONLY: FindingWords(
        N_("The database takes no changes"),
        N_("Point the gateway to the primary server, or end the read-only mode."),
        "database",
        N_("See the database"),
        CurePlace(_SYSTEM, "#database"),
    ),
    FindingKind.CONNECTIONS_NEARLY_USED: FindingWords(
        N_("Nearly all connections of the database are in use"),
        N_("Raise max_connections, or lower GATEWAY_DB_POOL_SIZE."),
        "database",
        N_("See the database"),
        CurePlace(_SYSTEM, "#database"),
    ),
    FindingKind.DISK_NEARLY_FULL: FindingWords(
        N_("The disk is nearly full"),
        N_("Free some space, or move the data directory to a larger disk."),
        "server",
        N_("See the disk"),
        CurePlace(_SYSTEM, "#disk"),
    ),
}


@dataclass(frozen=True, slots=True)
class ShownFinding:
    """One finding; `href` is empty where no page of this user cures it, `counted` if no count."""

    finding: OverviewFinding
    href: str
    counted: str
    account_id: str | None = None


@dataclass(frozen=True, slots=True)
class FindingGroup:
    """The findings of one kind: the oldest of them, and how many more there are."""

    kind: FindingKind
    severity: Severity
    words: FindingWords
    shown: Sequence[ShownFinding]
    more: int
    every: str

    @property
    def count(self) -> int:
        return len(self.shown) + self.more


def groups_of(
    visit: Visit, findings: Sequence[OverviewFinding], counts: Mapping[str, int]
) -> Sequence[FindingGroup]:
    """Returns the findings by kind, the most severe first; *counts* says how many each kind has."""
    by_kind: dict[FindingKind, list[OverviewFinding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    return [_group(visit, kind, found, counts) for kind, found in by_kind.items()]


def _group(
    visit: Visit, kind: FindingKind, found: Sequence[OverviewFinding], counts: Mapping[str, int]
) -> FindingGroup:
    words = _WORDS[kind]
    place = words.place if words.place and _may_open(visit, words.place) else None
    shown = [
        ShownFinding(each, _href(place, each), _counted(visit, words, each.count), each.account_id)
        for each in found[:MAX_SHOWN]
    ]
    total = max(counts.get(kind.value, 0), len(found))
    every = place.entry + place.every if place and place.every else ""
    return FindingGroup(kind, found[0].severity, words, shown, total - len(shown), every)


def _may_open(visit: Visit, place: CurePlace) -> bool:
    """Returns whether the page exists, and this user may put something right there."""
    return visit.has_page(place.entry) and visit.may(place.scope)


def _href(place: CurePlace | None, finding: OverviewFinding) -> str:
    if place is None:
        return ""
    if "{id}" not in place.end:
        return place.entry + place.end
    if finding.instance_id is None:
        return ""
    return place.entry + place.end.replace("{id}", quote(finding.instance_id, safe=""))


def _counted(visit: Visit, words: FindingWords, count: int) -> str:
    if words.counts is None or not count:
        return ""
    one, many = words.counts
    written = Formats(locale_of(visit.language)).number(count)
    return visit.ngettext(one, many, count, num=written)
