"""The whole gateway behind a connection to Postgres that loses answers."""

from pathlib import Path

import pytest

from gateway.database.queries import query
from tests.fixtures.postgres_proxy import Cut, bad_connection
from tests.fixtures.service import client_of, running_gateway

STATEMENTS = ("claim", "start_attempts", "record_sent", "mark_idle")


@pytest.mark.parametrize("cut", [Cut.BEFORE, Cut.AFTER])
async def test_messages_are_sent_once_and_in_order_when_answers_are_lost(
    tmp_path: Path, database_url: str, cut: Cut
) -> None:
    async with bad_connection(database_url) as connection:
        with running_gateway(tmp_path, connection.url) as gateway:
            await gateway.ready()
            async with client_of(gateway) as client:
                accepted = []
                for name in STATEMENTS:
                    connection.lose(query("send_queue", name), cut)
                    accepted.append(await client.send_text(f"{name} is lost"))
                    await connection.lost.wait()
                    accepted.append(await client.send_text(f"{name} was lost"))
                    sent = await client.sent_at_least(len(accepted), seconds=15)

    assert [row["messageId"] for row in sent] == [each["messageId"] for each in accepted]
    assert connection.cuts == len(STATEMENTS)
