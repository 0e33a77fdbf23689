"""A short run of what `make fuzz` does at length."""

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import RunningGateway
from tests.fuzz.run import fuzz

CASES_PER_ROUTE = "1"


async def test_no_request_breaks_the_gateway_or_its_description(gateway: RunningGateway) -> None:
    found = fuzz(
        gateway,
        ["--phases", "examples,fuzzing", "--max-examples", CASES_PER_ROUTE],
        slowest_seconds=PATIENCE_SECONDS,  # a busy machine is no finding; `make fuzz` is strict
    )

    assert found == 0
