import os

import pytest

from tests.fixtures.preloaded import stop_server

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.queue",
    "tests.fixtures.service",
    "tests.fixtures.webhook_catcher",
    "tests.fixtures.kafka",  # imports one of those above
    "tests.fixtures.times",
    "tests.fixtures.buckets",
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"  # psycopg and uvicorn run on nothing else here


def pytest_sessionfinish() -> None:
    stop_server()


@pytest.hookimpl(optionalhook=True)  # there is none without pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: many tests wait for other processes."""
    cores = os.cpu_count() or 1
    return cores + cores // 2
