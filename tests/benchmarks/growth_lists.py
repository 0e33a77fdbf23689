"""What callers of the API and the panel read, and what nodes run from time to time."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.benchmarks.growth_history import BUSY_LINE, CHATS, LINE
from tests.benchmarks.growth_statements import Step, chat_of

_LAST = datetime(9999, 12, 31, tzinfo=UTC)
_CHAT = chat_of(CHATS // 2)
_NODE = {"node_id": "growth"}
_FINAL = {"before": _LAST, "before_id": "", "limit": 51}
_STATUSES = {"max_examined": 50_000, "max_counted": 10_020, "max_count": 20, "skipped": 0}
_OVERVIEW = {"account_id": "acme", "text": "", "digits": "", "limit": 50, "offset": 0}

_LISTS: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = (
    ("send_queue", "list_waiting", "", {"after": 0, "limit": 21, "offset": 0}),
    ("history", "list_messages", "", {"limit": 20}),
    ("history", "list_messages_of_chat", "", {"limit": 20, "phones": [_CHAT]}),
    ("history", "list_statuses", "", {**_STATUSES, "phones": []}),
    ("history", "list_statuses", "of a chat", {**_STATUSES, "phones": [_CHAT]}),
    ("directory", "first_page_of_chats", "", {"page_size": 20}),
    (
        "directory",
        "search_chats",
        "",
        {"unread_only": False, "search": "", "digits": "", "limit": 50, "offset": 0},
    ),
    ("directory", "last_messages", "", {"phones": [_CHAT]}),
    ("directory", "list_messages", "of a chat", {"phone": _CHAT, "names": [_CHAT], "limit": 20}),
    ("directory", "newest_message", "", {"names": [_CHAT]}),
    ("directory", "unread_messages", "", {"phone": _CHAT, "names": [_CHAT], "max_count": 20}),
    ("message_search", "search_final", "", {**_FINAL, "max_examined": 500}),
    ("message_search", "search_final_of_chat", "", {**_FINAL, "phones": [_CHAT]}),
)
"""With the instance they are read of."""

_ONCE, _EACH_TIME = {"list_statuses"}, {"search_final_of_chat"}

_REPEATED: tuple[tuple[str, str, str, Mapping[str, Any]], ...] = (
    ("sessions", "lease_share", "", _NODE),
    ("sessions", "acquire_leases", "", {**_NODE, "max_count": 100}),
    ("sessions", "owned_leases", "", _NODE),
    ("sessions", "find_lease_owner", "", {"instance_id": LINE}),
    ("gauges", "count_waiting", "", {"by_instance": False}),
    ("gauges", "count_waiting", "by instance", {"by_instance": True}),
    ("gauges", "read_totals", "", {}),
    ("gauges", "count_sessions", "", {}),
    ("gauges", "list_stuck_heads", "", {"pace_max_seconds": 3}),
    ("traffic", "sample_waiting", "", {"at": datetime.now(UTC) - timedelta(days=1)}),
    ("overview", "read_overview_totals", "an account", {"account_id": "acme"}),
    ("overview", "read_overview_totals", "all", {}),
    (
        "overview",
        "list_findings",
        "",
        {"stalled_seconds": 300, "max_waiting": 100_000, "max_each": 5},
    ),
    ("overview", "list_overview_instances", "", {**_OVERVIEW, "sort": "created"}),
    ("overview", "list_overview_instances", "by waiting", {**_OVERVIEW, "sort": "waiting"}),
    ("overview", "read_database_state", "", {}),
    ("send_queue", "count_by_kind", "", {"instance_id": LINE}),
    ("send_queue", "archive_failed", "", {"days": 30, "max_count": 1_000}),
    ("send_queue", "delete_expired_keys", "", {"max_count": 1_000}),
    ("inbox", "delete_processed_events", "", {"seconds": 172_800, "max_count": 1_000}),
    ("webhooks", "delete_expired_deliveries", "", {"days": 7, "max_count": 1_000}),
    ("webhooks", "delete_expired_events", "", {"days": 7, "max_count": 1_000}),
    ("history", "find_expired_months", "", {"days": 3_650}),
    ("history", "delete_expired_receipts", "", {"max_count": 1_000}),
)


def lists(known_id: str) -> Iterator[Step]:
    """Yields what is read of a usual instance, and of the one with most messages."""
    for line, of in ((LINE, ""), (BUSY_LINE, "most messages")):
        for file, name, label, parameters in _LISTS:
            title = ", ".join(filter(None, (label, of)))
            of_line = {"instance_id": line, **parameters}
            each_time = name in _EACH_TIME
            yield Step(file, name, of_line, once=name in _ONCE, label=title, each_time=each_time)
    found = {"instance_id": LINE, "message_id": known_id}
    yield Step("history", "find_message", found, once=False)


def repeated() -> Iterator[Step]:
    """Yields what nodes run from time to time, and what /ready, /metrics and the panel show."""
    for file, name, label, parameters in _REPEATED:
        defaults = {"descending": False} if name == "list_overview_instances" else {}
        yield Step(file, name, {**defaults, **parameters}, once=False, label=label)
