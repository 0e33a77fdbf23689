"""The operator is warned where receivers could not open links to media."""

import pytest

from gateway.runtime.public_url import public_url_warning
from gateway.settings import Settings

PRODUCTION = {
    "GATEWAY_SECRET_KEY": "s0123456789abcdef0123456789abcdef",
    "DATABASE_URL": "postgresql://x",
}
DEVELOPMENT = {"GATEWAY_ENV": "development"}
WILDCARD = {"GATEWAY_HOST": "0.0.0.0", "GATEWAY_ALLOW_REMOTE": "true"}


def warning_of(*environments: dict[str, str]) -> str | None:
    merged = {name: value for each in environments for name, value in each.items()}
    return public_url_warning(Settings.read(merged))


@pytest.mark.parametrize(
    "environment",
    [
        PRODUCTION,
        {**PRODUCTION, **WILDCARD},
        {**PRODUCTION, "GATEWAY_HOST": "::"},
        {**PRODUCTION, "GATEWAY_HOST": "localhost"},
        {**PRODUCTION, "GATEWAY_HOST": "10.1.2.3", "GATEWAY_ROLE": "sender"},
        {**DEVELOPMENT, **WILDCARD},
    ],
)
def test_public_url_missing_warns_where_links_may_not_work(environment: dict[str, str]) -> None:
    assert "GATEWAY_PUBLIC_URL is not set" in (warning_of(environment) or "")
    assert warning_of(environment, {"GATEWAY_PUBLIC_URL": "https://wa.example.com/x"}) is None


@pytest.mark.parametrize(
    "environment",
    [
        DEVELOPMENT,
        {**DEVELOPMENT, "GATEWAY_HOST": "::1"},
        {**PRODUCTION, "GATEWAY_HOST": "10.1.2.3"},
        {**PRODUCTION, "GATEWAY_HOST": "wa.example.com"},
    ],
)
def test_public_url_missing_is_fine_where_links_work(environment: dict[str, str]) -> None:
    assert warning_of(environment) is None


@pytest.mark.parametrize(
    "url",
    [
        "wa.example.com",
        "ftp://wa.example.com",
        "http://0.0.0.0:8080",
        "https://user@wa.example.com",
        "https://wa.example.com/?x=1",
        "https://[",
    ],
)
def test_unusable_public_url_is_named(url: str) -> None:
    assert "is not a usable URL" in (warning_of(DEVELOPMENT, {"GATEWAY_PUBLIC_URL": url}) or "")
