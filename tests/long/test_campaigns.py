"""The campaigns as a whole, or nearly: all cuts, and a few kills."""

from pathlib import Path

import pytest

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.campaigns import cuts, kills
from tests.campaigns.cut_figures import missing
from tests.campaigns.scenes import SCENES
from tests.fixtures.postgres import public_folder

pytestmark = pytest.mark.long

KILLS = 2


async def test_every_statement_may_lose_its_connection(tmp_path: Path, database_url: str) -> None:
    figures = await cuts.run(tmp_path, database_url, scenes=tuple(SCENES))

    figures.show()
    assert missing(figures.seen) == []
    assert figures.broken == []


async def test_kills_of_postgres_lose_no_message(tmp_path: Path) -> None:
    with public_folder() as folder:
        server = EmbeddedPostgres(folder / "pg")
        await server.start()
        try:
            await migrate(server.url)
            figures = await kills.run(
                server, folder / "pg", tmp_path, kills=KILLS, rate=40.0, lines=20
            )
        finally:
            await server.stop()

    figures.show()
    assert figures.kills == KILLS
    assert not figures.broken
