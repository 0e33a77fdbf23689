"""The short form of `tests.campaigns.child_kills`: a child of each engine is killed amid sends."""

from pathlib import Path

import pytest

from tests.campaigns import child_kills

KILLS = 3


@pytest.mark.parametrize("child", child_kills.CHILDREN)
async def test_killed_child_loses_repeats_and_reorders_nothing(
    tmp_path: Path, database_url: str, child: str
) -> None:
    figures = await child_kills.run(database_url, tmp_path, kills=KILLS, child=child)

    figures.show()
    assert figures.kills == KILLS
    assert all(way.decrypted for way in figures.ways)
    assert figures.broken == []
