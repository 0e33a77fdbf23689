"""The named statements, and why a lost answer to each that changes something does no harm."""

from functools import cache

from gateway.database.queries import queries_in
from gateway.database.sql_files import sql_folder
from tests.fixtures.postgres_proxy import as_sent

COMMITTED = frozenset(
    {
        "inbox/add_events",
        "inbox/finish_event",
        "instances/add_account",
        "instances/add_instance",
        "media/delete_leftover",
        "media/put_file",
        "people/erase_callbacks",
        "removal/delete_instance",
        "send_queue/change_settings",
        "send_queue/expire",
        "send_queue/store_offset",
        "sessions/join_nodes",
    }
)
"""Statements whose transactions are cut at their commits as well."""

FOLLOWS = {
    "send_queue/abandon_flush": "send_queue/enqueue",
    "send_queue/lock_queues": "send_queue/enqueue",
    "send_queue/find_message_ids": "send_queue/enqueue",
    "webhooks/release_lost_claims": "webhooks/claim_delivery_queues",
}
"""Statements that run only after the answer to another one was lost."""

_LINKING = "needs a phone that is linked again; the store repeats it until it is answered"
_PANEL = "only a page of the panel runs it; tests/service/panel/test_chats.py does"
_QUEUE_PAGE = (
    "only a page of the panel runs it; tests/service/panel/test_queue_and_messages.py does"
)
_BUCKET = "needs a bucket that fails; tests/postgres/test_deferred_files.py runs it"
NOT_DRIVEN: dict[str, str] = {
    **{
        f"export/export_{name}": "only `gateway export` reads it"
        for name in (
            "account",
            "api_keys",
            "chats",
            "consents",
            "contacts",
            "identities",
            "instance",
            "media",
            "messages",
            "queue",
            "receipts",
            "tags",
            "traffic",
            "users",
            "webhooks",
        )
    },
    **{
        f"connections/{name}": "tests/postgres/test_connection_health.py runs it"
        for name in ("find_without_receipt", "list_notified_of_refusals", "note_receipts_seen")
    },
    **{
        f"overview/{name}": "only an operator reads it; tests/postgres/test_overview.py does"
        for name in (
            "count_instances_of_providers",
            "list_nodes",
            "read_database_state",
            "search_accounts",
        )
    },
    "directory/last_messages": _PANEL,
    "directory/search_chats": _PANEL,
    "inbox/record_event_error": "needs an event that this version cannot process",
    "instances/count_connected": "reads, for the routes by instance name",
    "instances/count_instances_by_provider": "only `gateway doctor` reads it",
    "instances/count_queues": "reads, for the routes by instance name",
    "media/count_deferred": _BUCKET,
    "media/delete_deferred": _BUCKET,
    "media/delete_orphaned_notes": _BUCKET,
    "media/find_deferred": _BUCKET,
    "media/find_deferred_here": _BUCKET,
    "media/list_deferred": _BUCKET,
    "media/note_folder": _BUCKET,
    "media/note_deferred": _BUCKET,
    "media/read_time": _BUCKET,
    "migrations/note_applied": "the database is migrated before the campaign",
    "migrations/note_function": "the database is migrated before the campaign",
    "payloads/list_keys": "only `gateway doctor` reads it",
    "queue_lanes/mean_delay": _QUEUE_PAGE,
    "sandbox/add_phone": "needs a control request before the first session has opened",
    "send_queue/find_queues": "reads, after 50 flushes that found a queue locked",
    "send_queue/free_unowned_queue": (
        "needs a queue without an owner for half a minute; tests/postgres/test_watchdog.py runs it"
    ),
    "sessions/earlier_calls_count": "needs a call by a node of an earlier release",
    "baileys/add_send": "needs an id of another form than the gateway gives",
    "baileys/delete_device": _LINKING,
    "baileys/find_received": "needs a message that waits for a login; the store repeats it",
    "whatsmeow/delete_device": _LINKING,
    **{
        f"{engine}/set_event_aside": (
            "needs an event that cannot be read; tests of the providers have one"
        )
        for engine in ("baileys", "whatsmeow")
    },
    "baileys/reseal_keys": "needs another secret; tests/postgres/test_baileys_store.py has one",
}
"""Statements that the scenes do not run, and why."""


@cache
def sent_forms() -> dict[str, str]:
    """Returns `file/name` of each named statement, by its text as psycopg sends it."""
    files = sorted(path.name.removesuffix(".sql") for path in (sql_folder() / "queries").iterdir())
    return {
        as_sent(statement): f"{file}/{name}"
        for file in files
        for name, statement in queries_in(file).items()
    }
