import logging
import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import structlog

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


@pytest.fixture(autouse=True)
def _logging_restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A test that runs a command in this process configures the log of all later ones.

    A logger that cached the configuration would never see another.
    """
    own, before = logging.getLogger("gateway"), structlog.get_config()
    level = own.level
    configure = structlog.configure
    monkeypatch.setattr(structlog, "configure", partial(_configure_without_cache, configure))
    yield
    if own.level != level or structlog.get_config() != before:
        configure(**before)
        own.setLevel(level)


def _configure_without_cache(configure: Any, **options: Any) -> None:
    configure(**{**options, "cache_logger_on_first_use": False})


def pytest_sessionfinish() -> None:
    stop_server()


@pytest.hookimpl(optionalhook=True)  # there is none without pytest-xdist
def pytest_xdist_auto_num_workers() -> int:
    """Half as many again as there are cores: many tests wait for other processes."""
    cores = os.cpu_count() or 1
    return cores + cores // 2
