"""The sandbox reads its settings by their prefix and refuses those out of range."""

import pytest

from gateway.errors import InvalidSettings
from gateway.providers.loading import load_provider
from gateway.providers.sandbox.settings import SandboxSettings, read_settings


def test_provider_unknown_is_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"no provider 'telegram': choose one of .*sandbox"):
        load_provider("telegram")


def test_settings_are_read_with_their_prefix() -> None:
    settings = read_settings(
        {
            "GATEWAY_SANDBOX_LATENCY_MIN_SECONDS": "0.5",
            "GATEWAY_SANDBOX_LATENCY_MAX_SECONDS": "1",
            "GATEWAY_SANDBOX_JOURNAL": "false",
            "GATEWAY_SANDBOX_RECEIPTS": "off",
            "GATEWAY_PORT": "8080",
        }
    )
    assert settings == SandboxSettings(
        latency_min_seconds=0.5, latency_max_seconds=1, journal=False, receipts=None
    )
    assert read_settings({}) == SandboxSettings()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LATENCY_MAX_SECONDS", "0.01"),
        ("LATENCY_MIN_SECONDS", "-1"),
        ("RECEIPTS", "x"),
        ("LATENCY", "1"),
    ],
)
def test_settings_out_of_range_are_refused(name: str, value: str) -> None:
    with pytest.raises(InvalidSettings, match=f"GATEWAY_SANDBOX_{name}"):
        read_settings({f"GATEWAY_SANDBOX_{name}": value})
