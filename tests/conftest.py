import pytest

from tests.fixtures.preloaded import stop_server

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.queue",
    "tests.fixtures.service",
    "tests.fixtures.webhook_catcher",
    "tests.fixtures.kafka",  # imports one of those above
    "tests.fixtures.times",
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"  # psycopg and uvicorn run on nothing else here


def pytest_sessionfinish() -> None:
    stop_server()
