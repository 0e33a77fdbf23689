"""The campaigns as a whole, or nearly: all cuts, and a few kills."""

import os
from pathlib import Path

import pytest

from gateway.database.migrations import migrate
from gateway.embedded_postgres.server import EmbeddedPostgres
from tests.campaigns import child_kills, cuts, field_faults, hostile_tenant, kills
from tests.campaigns.clients import calling
from tests.campaigns.cut_figures import missing
from tests.campaigns.scenes import SCENES
from tests.fixtures.postgres import public_folder

pytestmark = pytest.mark.long

KILLS = 2
CHILD_KILLS = int(os.environ.get("CHILD_KILLS", "30"))
ATTACK_SECONDS = 10.0


async def test_every_statement_may_lose_its_connection(tmp_path: Path, database_url: str) -> None:
    figures = await cuts.run(tmp_path, database_url, scenes=tuple(SCENES), gateways=cuts.GATEWAYS)

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


async def test_kills_of_a_child_of_baileys_lose_repeat_and_reorder_nothing(
    tmp_path: Path, database_url: str
) -> None:
    figures = await child_kills.run(database_url, tmp_path, kills=CHILD_KILLS)

    figures.show()
    assert figures.kills == CHILD_KILLS
    assert figures.broken == []


async def test_inputs_of_the_field_have_their_right_outcomes() -> None:
    assert await field_faults.run() == []


async def test_clients_of_other_languages_are_served() -> None:
    assert await calling.run() == []


async def test_hostile_tenant_costs_the_other_no_message(tmp_path: Path, database_url: str) -> None:
    """Counts only: how long a message takes depends on the machine."""
    attacks = ("deep nesting", "files: chunks", "flood of reads")
    async with hostile_tenant.running_campaign(
        tmp_path, database_url, seconds=ATTACK_SECONDS, quiet_seconds=1.0
    ) as campaign:
        campaign.insists = True
        outcomes = {}
        for name in attacks:
            outcomes[name] = await campaign.run(name)
            outcomes[name].show(load=os.getloadavg()[0])

    for outcome in outcomes.values():
        for window in outcome.attacked:
            assert window.accepted
            assert (window.lost, window.failed) == (0, [])
    assert {"413"} <= outcomes["deep nesting"].answered.keys() <= {"413", "429", "503"}
    assert outcomes["files: chunks"].answered.keys() == {"200"}
    assert {"200"} <= outcomes["flood of reads"].answered.keys() <= {"200", "429"}
