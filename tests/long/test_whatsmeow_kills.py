"""Children of whatsmeow and the gateway are killed at any moment: nothing is lost or repeated.

Prints its figures: pytest -s -m long tests/long/test_whatsmeow_kills.py
"""

import os
from pathlib import Path

import pytest

from tests.fixtures.whatsmeow_pair import linked_pair
from tests.providers.fake_whatsapp.client import running_fake

pytestmark = pytest.mark.long

KILLS = int(os.environ.get("WHATSMEOW_KILLS", "5"))
BETWEEN = int(os.environ.get("WHATSMEOW_SENDS", "30"))


@pytest.mark.parametrize("keys", ["file", "postgres"])
async def test_whatsmeow_kills_while_messages_leave(
    tmp_path: Path, memory_path: Path, database_url: str, keys: str
) -> None:
    (tmp_path / "whatsapp").mkdir()
    with running_fake(tmp_path / "whatsapp") as whatsapp:
        async with linked_pair(tmp_path, memory_path, database_url, whatsapp, keys=keys) as pair:
            for _ in range(KILLS):
                before = len(await pair.arrived())
                await pair.send(BETWEEN)
                await pair.arrived_at_least(before + BETWEEN // 3)
                await pair.cut_the_keys()
                await pair.arrived_at_least(before + BETWEEN // 2)
                await pair.kill_the_child()
                await pair.outcomes()
            print(await pair.check(kills=KILLS))  # noqa: T201
            await pair.everything_received()
            await pair.kill_the_gateway()
            await pair.everything_received()
