"""The short form of `tests.campaigns.child_kills`: a child of each library is killed."""

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


async def test_killed_child_of_whatsmeow_loses_repeats_and_reorders_nothing(
    tmp_path: Path, database_url: str
) -> None:
    figures = await child_kills.run(database_url, tmp_path, kills=KILLS, child="whatsmeow")

    figures.show()
    assert figures.kills == KILLS
    assert all(way.decrypted for way in figures.ways)
    assert figures.broken == []
