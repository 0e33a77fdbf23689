import pytest

pytest_plugins = [
    "tests.fixtures.postgres",
    "tests.fixtures.queue",
    "tests.fixtures.service",
    "tests.fixtures.webhook_catcher",
    "tests.fixtures.kafka",  # imports one of those above
]


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"  # psycopg and uvicorn run on nothing else here
