"""The lists that people read walk along an index, however many messages wait or were sent."""

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from psycopg import AsyncConnection
from psycopg.sql import SQL, Literal

from gateway.database.queries import query
from tests.fixtures.queue import add_instances

MANY = 4_000
LAST = datetime(9999, 12, 31, tzinfo=UTC)
FIRST = datetime(1, 1, 1, tzinfo=UTC)
SPAN: Mapping[str, Any] = {"from": None, "to": None}
FINAL: Mapping[str, Any] = {"before": LAST, "before_id": "", **SPAN}
HISTORY: Mapping[str, Any] = {
    **dict.fromkeys(("before", "before_id", "track_id")),
    **SPAN,
    "limit": 51,
}
LANE: Mapping[str, Any] = {
    **dict.fromkeys(("status", "type", "phones", "track_id", "before")),
    "lane": 1,
    "after": 0,
    "limit": 51,
}
SMALL = {"webhooks", "instances", "further_outbox", "further_delivery_queues"}
"""Tables that have a row or two here."""
IDS = [uuid.UUID(int=1)]

LISTS: Mapping[tuple[str, str], Mapping[str, Any]] = {
    ("message_search", "search_final"): {
        **FINAL,
        "states": ["canceled"],
        "max_examined": 500,
        "limit": 51,
    },
    ("message_search", "end_of_final"): {**FINAL, "max_examined": 500},
    ("message_search", "search_final_of_chat"): {
        **FINAL,
        "phones": ["7"],
        "states": None,
        "limit": 51,
    },
    ("history", "list_messages"): {**HISTORY, "status": None},
    ("history", "list_messages_of_chat"): {**HISTORY, "status": None, "phones": ["7"]},
    ("message_search", "search_waiting"): {
        **SPAN,
        "before": MANY,
        "states": ["retrying"],
        "phones": None,
        "max_examined": 500,
        "limit": 51,
    },
    ("message_search", "end_of_waiting"): {"before": MANY, "max_examined": 500},
    ("send_queue", "list_latest_failed"): {
        "before": LAST,
        "before_id": "",
        "type": None,
        "phones": None,
        "limit": 51,
    },
    ("queue_lanes", "find_sending"): {},
    ("queue_lanes", "list_lane"): {**LANE, "max_examined": 51},
    ("queue_lanes", "describe_waiting"): {"ids": [1, 2, 3]},
    ("queue_lanes", "list_scheduled"): {**SPAN, "after": FIRST, "after_id": 0, "limit": 51},
    ("callback_traces", "find_message_events"): {
        "recorded_ats": [LAST],
        "receipt_ats": [FIRST],
        "chats": ["7"],
        "max_examined": 500,
        "max_found": 50,
    },
    ("callback_traces", "list_waiting_queues"): {
        "after": "",
        "after_webhook": uuid.UUID(int=0),
        "webhook_id": None,
        "limit": 51,
    },
    ("webhooks", "count_replay"): {"since": FIRST, "until": LAST, "limit": 500},
    ("callback_traces", "list_callback_attempts"): {"id": IDS[0], "limit": 100},
    ("callback_traces", "find_waiting_callback"): {"id": IDS[0], "max_examined": 500},
    ("callback_traces", "find_dead_callback"): {"id": IDS[0]},
    ("webhooks", "list_failed_deliveries"): {
        **dict.fromkeys(("before", "type", "callback_id", "webhook_id")),
        "limit": 51,
    },
    ("webhooks", "list_dead_letters"): {
        **dict.fromkeys(("id", "status", "type", "webhook_id")),
        "limit": 20,
        "offset": 0,
    },
    ("callback_traces", "find_recorded_callback"): {
        "id": IDS[0],
        "webhook_id": uuid.UUID(int=0),
        "at": LAST,
        "max_examined": 500,
    },
}
"""Each list with the parameters of its first page."""

FILLING = (
    """insert into message_queue (instance_id, sequence_number, position, version, priority,
                                  max_attempts, status, zaap_id, message_id, type, phone, payload,
                                  last_error)
       select i.id, n, n, 1, n %% 3, 3,
              case n %% 10 when 0 then 'scheduled' when 1 then 'failed' else 'pending' end,
              'Z' || n, 'Q' || n, 'send-text', n %% 100, '{"message": "Hello"}', 'refused'
       from instances i, generate_series(1, %(many)s) n""",
    """insert into messages (instance_id, message_id, recorded_at, created_at, version, from_me,
                             status, zaap_id, phone, type, payload)
       select i.id, 'H' || n, now() - n * interval '1 minute', now(), 1, true, 'sent', 'Z' || n,
              n %% 100, 'send-text', '{"message": "Hello"}'
       from instances i, generate_series(1, %(many)s) n""",
    """insert into webhook_events (account_id, instance_id, chat, id, type, body, created_at)
       select i.account_id, i.id, n %% 100, gen_random_uuid(), 'MessageStatusCallback', '{}',
              now() - n * interval '1 minute'
       from instances i, generate_series(1, %(many)s) n""",
    """insert into webhook_deliveries (instance_id, callback_id, type, chat, target, attempt, taken,
                                       duration_ms)
       select i.id, gen_random_uuid(), 'DeliveryCallback', '7', 'https://crm.example/', 1, true, 5
       from instances i, generate_series(1, %(many)s)""",
    """insert into webhook_lines (instance_id, chat, pending, next_position, due_at)
       select i.id, n, 1, 2, now() from instances i, generate_series(1, %(many)s) n""",
    """insert into webhook_outbox (instance_id, chat, position, id, type, body)
       select i.id, n, 1, gen_random_uuid(), 'DeliveryCallback', '{}'
       from instances i, generate_series(1, %(many)s) n""",
    """insert into webhook_dead_letters (instance_id, id, chat, type, body, attempts, last_error,
                                         created_at)
       select i.id, gen_random_uuid(), '7', 'DeliveryCallback', '{}', 3, 'HTTP 500', now()
       from instances i, generate_series(1, %(many)s)""",
    "analyze",
)


async def plan_of(
    operator: AsyncConnection, file: str, name: str, parameters: Mapping[str, Any]
) -> str:
    """Runs a statement under the plan that it has for any parameters, and returns the plan."""
    text = query(file, name).as_string()
    for number, key in enumerate(parameters, start=1):
        text = text.replace(f"%({key})s", f"${number}")
    await operator.execute(f"prepare listed as {text}".encode(), prepare=False)
    values = SQL(", ").join(map(Literal, parameters.values()))
    explain = SQL("explain (analyze, format json) execute listed({})").format(values)
    ((plan,),) = await (await operator.execute(explain, prepare=False)).fetchall()
    await operator.execute("deallocate listed", prepare=False)
    return json.dumps(plan)


async def test_lists_read_no_table_as_a_whole(operator: AsyncConnection) -> None:
    one, _other = await add_instances(operator, 2)
    for statement in FILLING:
        await operator.execute(statement.encode(), {"many": MANY} if "many" in statement else None)
    await operator.execute("set plan_cache_mode = force_generic_plan")

    whole: dict[str, list[str]] = {}
    for (file, name), parameters in LISTS.items():
        plan = await plan_of(operator, file, name, {"instance_id": one.id, **parameters})
        parts = plan.split('"Node Type": "Seq Scan"')[1:]
        tables = [part.split('"Relation Name": "')[1].partition('"')[0] for part in parts]
        if large := {*tables} - SMALL:
            whole[name] = sorted(large)

    assert whole == {}


@pytest.mark.parametrize("name", ["count_lanes", "count_apart", "count_scheduled_by_day"])
async def test_counts_read_indexes(operator: AsyncConnection, name: str) -> None:
    one, _other = await add_instances(operator, 2)
    await operator.execute(FILLING[0].encode(), {"many": MANY})
    await operator.execute("analyze message_queue")
    days = {**SPAN, "time_zone": "UTC", "max_days": 9}
    parameters = {"instance_id": one.id, **(days if name == "count_scheduled_by_day" else {})}

    plan = await plan_of(operator, "queue_lanes", name, parameters)

    assert "Seq Scan" not in plan
