"""A connection that waits for notifications wakes the process only for them."""

from typing import Any

import pytest
from psycopg import AsyncConnection, waiting

from gateway.database.direct import connect_directly


async def test_waiting_connection_wakes_nobody_without_a_notification(
    database_url: str, operator: AsyncConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_async, intervals = waiting.wait_async, list[float]()

    async def noted(*positional: Any, **named: Any) -> Any:
        intervals.append(named["interval"])
        return await wait_async(*positional, **named)

    async with await connect_directly(database_url) as connection:
        await connection.execute("listen changes")
        await operator.execute("notify changes, 'one'")
        monkeypatch.setattr(waiting, "wait_async", noted)
        async for notification in connection.notifies(stop_after=1):
            assert notification.payload == "one"

    assert intervals
    assert min(intervals) >= 10
