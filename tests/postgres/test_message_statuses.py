"""The states of sent messages are read as far as a page needs it, whatever history holds."""

from collections.abc import Mapping
from typing import Any

import pytest
from psycopg import AsyncConnection

from gateway.contract.extensions.messages_status import MessagesStatus, ReadMessagesStatus
from gateway.history.statuses import MessagesStatusContext, read_messages_status
from tests.fixtures.queue import add_instances, running_node

PHONE, SENT = "5511999999999", 7


@pytest.mark.parametrize(
    ("asked", "total"),
    [
        ({"limit": 2}, 5),
        ({"limit": 2, "offset": 1}, 6),
        ({"limit": 100}, SENT),
        ({"limit": 2, "offset": 9}, SENT),
    ],
    ids=["first page", "a later page", "all", "beyond the last"],
)
async def test_total_counts_a_number_of_messages_beyond_the_page(
    database_url: str,
    operator: AsyncConnection,
    monkeypatch: pytest.MonkeyPatch,
    asked: Mapping[str, Any],
    total: int,
) -> None:
    monkeypatch.setattr("gateway.history.statuses.COUNTED_BEYOND_PAGE", 3)
    (instance,) = await add_instances(operator, 1)
    await _add_messages(operator, instance.id, SENT, "sent")

    answer = await _ask(database_url, instance.id, asked)

    assert answer.meta.total == total
    assert len(answer.data) == max(0, min(asked["limit"], SENT - asked.get("offset", 0)))


@pytest.mark.parametrize("asked", [{}, {"phone": PHONE}], ids=["of all", "of a chat"])
async def test_so_many_received_messages_are_read_to_find_sent_ones(
    database_url: str,
    operator: AsyncConnection,
    monkeypatch: pytest.MonkeyPatch,
    asked: Mapping[str, Any],
) -> None:
    monkeypatch.setattr("gateway.history.statuses.MAX_EXAMINED", 5)
    (instance,) = await add_instances(operator, 1)
    await _add_messages(operator, instance.id, SENT, "sent")
    await operator.execute("update messages set recorded_at = recorded_at - interval '1 minute'")
    await operator.execute("update message_ids set recorded_at = recorded_at - interval '1 minute'")
    await _add_messages(operator, instance.id, 3, "received")

    answer = await _ask(database_url, instance.id, asked)
    named = await _ask(database_url, instance.id, {"messageId": "sent1", **asked})

    assert [message.message_id for message in answer.data] == ["sent7", "sent6"]
    assert answer.meta.total == len(answer.data)
    assert [message.message_id for message in named.data] == ["sent1"]


async def test_messages_of_one_chat_are_those_under_each_of_its_names(
    database_url: str, operator: AsyncConnection
) -> None:
    (instance,) = await add_instances(operator, 1)
    await _add_messages(operator, instance.id, 2, "sent")
    await _add_messages(operator, instance.id, 2, "other", phone="5511888888888")
    await _add_messages(operator, instance.id, 2, "lid", phone="123@lid")
    await operator.execute(
        "insert into identities (instance_id, lid, phone) values (%s, '123@lid', %s)",
        [instance.id, PHONE],
    )

    pages = [
        await _ask(database_url, instance.id, {"phone": PHONE, "limit": 3, "offset": offset})
        for offset in (0, 3)
    ]
    wrong = await _ask(database_url, instance.id, {"phone": PHONE, "messageId": "other1"})

    assert [m.message_id for page in pages for m in page.data] == ["lid2", "sent2", "lid1", "sent1"]
    assert [page.meta.total for page in pages] == [4, 4]
    assert (wrong.meta.total, wrong.data) == (0, ())


async def _add_messages(
    operator: AsyncConnection, instance_id: str, count: int, name: str, *, phone: str = PHONE
) -> None:
    """Stores messages, each a second newer than the one before; all but `received` were sent."""
    await operator.execute(
        """with added as (
               insert into messages (instance_id, message_id, created_at, recorded_at, version,
                                     from_me, status, zaap_id, phone, type, payload)
               select %(instance)s, %(name)s || n, now(),
                      clock_timestamp() + make_interval(secs => n), 1, %(name)s <> 'received',
                      'sent', %(name)s || n, %(phone)s, 'send-text', '{}'
               from generate_series(1, %(count)s) n
               returning instance_id, message_id, recorded_at
           )
           insert into message_ids (instance_id, message_id, recorded_at) table added""",
        {"instance": instance_id, "name": name, "phone": phone, "count": count},
    )


async def _ask(database_url: str, instance_id: str, asked: Mapping[str, Any]) -> MessagesStatus:
    async with running_node(database_url) as node:
        return await read_messages_status(
            MessagesStatusContext(node.database, instance_id),
            ReadMessagesStatus.model_validate(asked),
        )
