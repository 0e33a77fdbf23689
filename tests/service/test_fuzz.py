"""A short run of `make fuzz`: random requests get documented answers."""

from tests.fixtures.patience import PATIENCE_SECONDS
from tests.fixtures.service import RunningGateway
from tests.fuzz.run import fuzz

CASES_PER_ROUTE = "1"


async def test_fuzzed_requests_get_documented_answers(gateway: RunningGateway) -> None:
    found = fuzz(
        gateway,
        ["--phases", "examples,fuzzing", "--max-examples", CASES_PER_ROUTE],
        slowest_seconds=PATIENCE_SECONDS,  # a busy machine is no finding; `make fuzz` is strict
    )

    assert found == 0
