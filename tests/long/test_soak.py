"""A load leaves nothing behind: an hour of it is a benchmark, `tests.benchmarks.soak`."""

import pytest

from tests.benchmarks.harness import server
from tests.benchmarks.soak import arguments_of, soaking
from tests.fixtures.service import until

pytestmark = pytest.mark.long

NAMES = ("tasks", "gateway descriptors", "gateway threads", "connections")
BURST_SECONDS = 15.0
MANY = 20
"""Fewer are open connections; what leaks with each message comes to hundreds."""


async def test_load_leaves_no_tasks_descriptors_or_connections_behind() -> None:
    arguments = arguments_of(["--instances", "50", "--rate", "40", "--inbound", "40"])
    async with server() as url, soaking(url, arguments) as soak:
        await soak.burst(BURST_SECONDS)
        first = await soak.sampler.read(0.0)
        await soak.burst(BURST_SECONDS)
        await until(
            lambda: soak.sampler.read(0.0),
            lambda now: all(now[name] < first[name] + MANY for name in NAMES),
        )

    assert soak.callbacks.accepted > MANY
    assert soak.callbacks.delivered == soak.callbacks.accepted
    assert soak.callbacks.unmatched == soak.callbacks.repeated == 0
