"""The short form of `tests.campaigns.child_kills`: the child of Baileys is killed amid sends."""

from pathlib import Path

from tests.campaigns import child_kills

KILLS = 3


async def test_killed_child_loses_repeats_and_reorders_nothing(
    tmp_path: Path, database_url: str
) -> None:
    figures = await child_kills.run(database_url, tmp_path, kills=KILLS)

    figures.show()
    assert figures.kills == KILLS
    assert all(way.decrypted for way in figures.ways)
    assert figures.broken == []
