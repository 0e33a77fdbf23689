"""Connections have limits of time, unless the URL sets its own."""

import pytest

from gateway.database.conninfo import connection_parameters


@pytest.mark.parametrize(
    ("url", "seconds"),
    [
        ("postgresql://h1/gateway", 5),
        ("host=/run dbname=gateway", 5),
        ("postgresql://h1,h2:5433/gateway?target_session_attrs=read-write", 2),
        ("hostaddr=10.0.0.1,10.0.0.2", 2),
        ("postgresql://h1,h2/gateway?connect_timeout=9", None),
    ],
)
def test_connect_timeout_is_short_where_another_host_can_serve(
    url: str, seconds: int | None
) -> None:
    assert connection_parameters(url).get("connect_timeout") == seconds


def test_keepalive_of_the_url_is_left_alone() -> None:
    limits = connection_parameters("postgresql://h1/gateway?keepalives_idle=60")

    assert "keepalives_idle" not in limits
    assert limits["keepalives_count"] == 3
