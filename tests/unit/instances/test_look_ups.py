"""Many requests that begin together do not take every connection to Postgres."""

import asyncio
from typing import Any, cast

from gateway.instances.accounts import Accounts


class SlowDatabase:
    """Counts the statements that run at once."""

    def __init__(self) -> None:
        self.running = self.most = 0

    def for_look_ups(self) -> "SlowDatabase":
        return self

    async def fetch_one(self, *_arguments: object, **_parameters: object) -> None:
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        self.running -= 1


async def test_look_ups_of_one_token_run_two_at_a_time_and_others_beside_them() -> None:
    database = SlowDatabase()
    accounts = Accounts(cast("Any", database), cast("Any", None))

    await asyncio.gather(*(accounts.find_by_token("T") for _ in range(20)))
    assert database.most == 2

    tokens = ["T", "T", "T", "U"]
    await asyncio.gather(*map(accounts.find_by_token, tokens))
    assert database.most == 3
