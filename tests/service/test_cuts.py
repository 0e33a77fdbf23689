"""The short form of the campaign that cuts connections to Postgres at every statement."""

from pathlib import Path

from tests.campaigns.cuts import Rules, run
from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.postgres_proxy import Cut

# Shorter than the minute after which the claim of a delivery queue lapses by itself.
STANDING_SECONDS = 40.0
STATEMENTS = (
    "inbox/add_events",
    "sandbox/accept_message",
    "send_queue/enqueue",
    "webhooks/claim_delivery_queues",
    "webhooks/finish_delivery_queues",
)


async def test_lines_go_on_and_lose_nothing_after_lost_answers(
    tmp_path: Path, database_url: str
) -> None:
    figures = await run(
        tmp_path,
        database_url,
        scenes=("exchange",),
        statements=STATEMENTS,
        cuts=(Cut.AFTER,),
        rules=Rules(STANDING_SECONDS, PATIENCE_SECONDS, module="gateway"),
    )

    assert figures.broken == []
    assert figures.cuts == len(STATEMENTS) + 1  # one of them at its commit as well
    assert figures.repeated, "the message whose acceptance lost its answer is sent again"
