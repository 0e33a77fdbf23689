"""docs/lost-answers.md says of each statement why a lost answer to it does no harm."""

import re
from collections import Counter
from pathlib import Path

from tests.campaigns.short_periods import PERIODS
from tests.campaigns.statements import COMMITTED, FOLLOWS, NOT_DRIVEN, sent_forms

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "lost-answers.md"
ROW = re.compile(r"^\| (`.+`) \| (same|found|looked for) \| ([A-Z].+\.) \|$", re.MULTILINE)
CHANGES = re.compile(
    r"\b(insert into|update [\w.]+|delete from|pg_notify|create table"
    r"|(enqueue_callbacks|enqueue_messages|append_callbacks|assign_event_positions"
    r"|merge_chats|claim_delivery_queues|mark_queues_idle|mark_empty_queues_idle"
    r"|delete_library_device|erase_library_contact)_v[0-9]+)\b"
)
LOCKS = re.compile(r"for (no key )?update\b.*")


def changes(statement: str) -> bool:
    return bool(CHANGES.search(LOCKS.sub("", statement.lower())))


def explained() -> list[str]:
    rows = ROW.findall(PAGE.read_text())
    return [name for names, _why, _reason in rows for name in re.findall(r"`(.+?)`", names)]


def test_every_statement_that_changes_something_has_a_reason() -> None:
    changing = {name for text, name in sent_forms().items() if changes(text)}

    assert changing - set(explained()) == set()
    assert set(explained()) - changing == set()


def test_no_statement_has_two_reasons() -> None:
    assert [name for name, count in Counter(explained()).items() if count > 1] == []


def test_lists_of_the_campaign_name_statements() -> None:
    named = set(sent_forms().values())

    assert NOT_DRIVEN.keys() | FOLLOWS.keys() | set(FOLLOWS.values()) | COMMITTED <= named


def test_reasons_of_the_campaign_name_tests_that_exist() -> None:
    named = {name for reason in NOT_DRIVEN.values() for name in re.findall(r"tests/\S+", reason)}

    assert named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_campaign_shortens_periods_that_exist() -> None:
    assert [name for module, name in PERIODS if not isinstance(vars(module).get(name), float)] == []


def test_lock_alone_changes_nothing() -> None:
    assert changes("update accounts set name = $1")
    assert not changes("select id from accounts for update of a")
