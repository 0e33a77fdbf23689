"""Finds words that docs/glossary.md replaced: `python tests/vocabulary.py [FOLDER ...]`.

Reads code, comments, SQL and documents. Identifiers count by their parts: `look_again` and
`LookAgain` are `look again`. Prints a count per package, and each place with `--places`. Exits 1 if
there is any.
"""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[1]

SCANNED: Final = (
    "gateway/**/*.py",
    "sql/queries/*.sql",
    "sql/functions/*",
    "docs/*.md",
    "docs/decisions/*.md",
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
)

WORDS: Final[Mapping[str, str]] = {
    "anew": "again",
    "asker": "session router",
    "askers": "session router",
    "bell": "wake-up event",
    "bells": "wake-up events",
    "buried": "archived",
    "bury": "archive, delete_expired",
    "chore": "maintenance task",
    "chores": "maintenance tasks",
    "desk": "context",
    "desks": "contexts",
    "ears": "subscribers",
    "farthest": "max",
    "floor": "stage",
    "floors": "stages",
    "forget": "delete, prune, drop",
    "forgets": "deletes, prunes, drops",
    "forgotten": "deleted, missed",
    "habit": "automatic action",
    "habits": "automatic actions",
    "happenings": "event handlers, simulated events",
    "hear": "on_event",
    "heard": "received",
    "hears": "is notified",
    "hungry": "(name the state)",
    "judged": "admission result",
    "kept": "stored",
    "ledger": "delivery recorder",
    "letter": "webhook request",
    "letters": "webhook requests",
    "lifter": "body spooler",
    "neighbour": "(name it)",
    "neighbours": "(name them)",
    "nobody": "no caller, no node, none",
    "office": "admin service",
    "ours": "this node's",
    "overheard": "received",
    "rehearsal": "Postman setup",
    "ringing": "waking",
    "rings": "wakes",
    "road": "path, provider, sink",
    "roads": "paths, providers, sinks",
    "room": "module, package",
    "rooms": "modules, packages",
    "roomy": "(name it)",
    "seat": "session spec",
    "seats": "session specs",
    "settle": "process, finalize",
    "settled": "processed, finished",
    "settles": "processes, finalizes",
    "settling": "processing",
    "shelf": "media route context",
    "somebody": "a caller, a person, another node",
    "spare": "(name it)",
    "spares": "saves",
    "spent": "counted",
    "steer": "control",
    "steering": "queue control",
    "steers": "controls",
    "strangers": "others",
    "surroundings": "provider context",
    "sweep": "delete_expired, maintenance",
    "sweeping": "delete_expired, maintenance",
    "sweeps": "deletes, maintenance",
    "tell": "notify, enqueue callbacks, report",
    "telling": "notifying, reporting",
    "tells": "notifies, reports, says",
    "tempo": "send policy",
    "tidied": "pruned",
    "tidies": "prunes",
    "tidy": "prune, maintenance",
    "told": "notified, reported",
    "unsettled": "pending",
    "upkeep": "maintenance, supervisor",
    "verdict": "admission result",
    "verdicts": "admission results",
    "whoever": "the caller, any caller",
    "wishes": "options",
}
"""Each old word, with what to write instead."""

PHRASES: Final[Mapping[str, str]] = {
    "look again": "wake",
    "no one": "no caller, no node",
    "not now": "next flush",
    "not taken": "failed",
    "on its way": "in flight",
    "on their way": "in flight",
    "part of the service": "(say what it does)",
    "under way": "in flight",
}

HISTORIC: Final[Mapping[str, str]] = {
    "ForgetConsent": "an act in the audit log and an operation id",
    "forgetConsent": "the same",
    "event_roads": "a table",
    "inbox_unsettled": "an index",
    "kept_in": "a column of whatsmeow.devices",
    "message_queue_on_its_way": "an index",
    "not_taken": "a label value of webhook_posts_total",
}
"""Identifiers that stay, because a database, a caller or an alert uses them."""

ALLOWED: Final[tuple[tuple[str, str, str], ...]] = (
    ("*", "dead letter", "the field's own term"),
    ("*", "dead letters", "the field's own term"),
    ("README.md", "rings", "a telephone rings"),
    ("docs/architecture.md", "bury", "the name of a statement"),
    ("docs/architecture.md", "tell", "the SQL function of released migrations"),
    ("docs/decisions/0006-*", "tell", "the SQL function of released migrations"),
    ("docs/glossary.md", "*", "lists old and historic names"),
    ("sql/functions/README.md", "tell", "the name of a function of the release before"),
    ("docs/providers.md", "rings", "a telephone rings"),
    ("gateway/contract/*", "desk", "the name of a group or phone in examples"),
    ("gateway/contract/*", "office", "a place in examples"),
    ("gateway/contract/*", "neighbours", "the name of a community in examples"),
    ("gateway/contract/*", "on its way", "the text of an order in examples"),
    ("gateway/contract/*", "ringing", "a telephone rings"),
    ("gateway/contract/zapi/calls.py", "rings", "a telephone rings"),
    ("gateway/history/search.py", "settled", "a column of the view message_states"),
    ("gateway/history/states.py", "settled", "a column of the view message_states"),
    ("gateway/embedded_postgres/cluster_site.py", "nobody", "a Unix user"),
    ("gateway/database/write_probe.py", "chores", "a table, and the file of its statement"),
    ("gateway/runtime/housekeeping.py", "chores", "a table, and the file of its statement"),
    ("gateway/send_queue/completion.py", "settled", "a column of the view message_states"),
    ("gateway/send_queue/enqueue.py", "verdict", "a column of the SQL function enqueue"),
    ("docs/lost-answers.md", "chores", "the file of a statement"),
    ("sql/queries/chores.sql", "chores", "a table"),
    ("sql/queries/history.sql", "settled", "a column of the view message_states"),
    ("sql/queries/message_search.sql", "settled", "a column of the view message_states"),
    ("sql/queries/queue_lanes.sql", "settled", "a column of the view message_states"),
    ("sql/queries/send_queue.sql", "settled", "a column of the view message_states"),
    ("sql/queries/*.sql", "tell", "the SQL function of released migrations"),
)
"""Path, word or phrase (`*` is any), and why it may stand there."""

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


@dataclass(frozen=True, slots=True)
class Finding:
    """An old word in a line of a file."""

    path: str
    line: int
    word: str

    @property
    def package(self) -> str:
        """The folder below `gateway`, or the first folder, or the file."""
        parts = self.path.split("/")
        return "/".join(parts[:2]) if parts[0] in {"gateway", "sql", "docs"} else parts[0]


def words_of(line: str) -> str:
    """Returns the line in lower case, each identifier split into its words."""

    def split(found: re.Match[str]) -> str:
        name = found.group()
        if name in HISTORIC:
            return " "
        return " ".join(part for piece in name.split("_") for part in _CAMEL.split(piece)).lower()

    return _IDENTIFIER.sub(split, line)


def old_words(line: str) -> Iterator[str]:
    """Yields the old words and phrases of a line, but not those inside an allowed phrase."""
    text = words_of(line)
    for _path, phrase, _reason in ALLOWED:
        if " " in phrase:
            text = re.sub(rf"\b{phrase}\b", " ", text)
    for phrase in PHRASES:
        yield from [phrase] * len(re.findall(rf"\b{phrase}\b", text))
    for word in re.findall(r"[a-z]+", text):
        if word in WORDS:
            yield word


def is_allowed(path: str, word: str) -> bool:
    return any(fnmatch(path, where) and what in {"*", word} for where, what, _reason in ALLOWED)


def findings(root: Path = ROOT) -> Iterator[Finding]:
    """Yields every old word in the files that are scanned, in the order of the paths."""
    for file in sorted({file for pattern in SCANNED for file in root.glob(pattern)}):
        path = file.relative_to(root).as_posix()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
            for word in old_words(line):
                if not is_allowed(path, word):
                    yield Finding(path, number, word)


def main(arguments: list[str]) -> int:
    """Shows what is found below the given folders, or everywhere; returns the exit code."""
    folders = [name.rstrip("/") for name in arguments if not name.startswith("-")]
    found = [
        finding
        for finding in findings()
        if not folders or any(f"{finding.path}/".startswith(f"{name}/") for name in folders)
    ]
    sys.stdout.writelines(f"{line}\n" for line in _report(found, places="--places" in arguments))
    return 1 if found else 0


def _report(found: list[Finding], *, places: bool) -> Iterator[str]:
    if places:
        for finding in found:
            instead = WORDS.get(finding.word) or PHRASES[finding.word]
            yield f"{finding.path}:{finding.line}: {finding.word} -> {instead}"
    for package, count in sorted(Counter(finding.package for finding in found).items()):
        yield f"{count:6} {package}"
    for word, count in Counter(finding.word for finding in found).most_common(15):
        yield f"{count:6} {word!r}"
    yield f"{len(found):6} old words; docs/glossary.md has the new ones"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
