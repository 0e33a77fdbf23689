"""Followers of one account that come together begin one after the other."""

import asyncio
from typing import Any, cast

from gateway.clock import Clock
from gateway.webhooks.event_log import Position
from gateway.webhooks.stream import Stream, StreamAccess


class SlowLog:
    """Counts the subscriptions that are stored at once."""

    def __init__(self) -> None:
        self.running = self.most = self.stored = 0

    async def subscribe(self, _name: str, _accounts: list[str]) -> Position:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1
        self.stored += 1
        return Position(1, 1)


async def allowed() -> bool:
    return True


async def test_followers_of_an_account_subscribe_one_after_the_other() -> None:
    log = SlowLog()
    stream = Stream(cast("Any", log), Clock(), max_followers=50)

    async def follow(account_id: str) -> None:
        async with stream.subscribe(account_id, None, StreamAccess(allowed)):
            pass

    await asyncio.gather(*(follow("a") for _ in range(20)))
    assert (log.most, log.stored) == (1, 20)

    await asyncio.gather(follow("a"), follow("b"))
    assert log.most == 2
