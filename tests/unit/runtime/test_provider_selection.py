"""Which providers are offered, and that no module outside a provider's folder names it."""

import re
from pathlib import Path

import pytest

import gateway
from gateway.errors import InvalidSettings
from gateway.providers.loading import load_provider, provider_names
from gateway.runtime.provider_selection import (
    enabled_providers,
    find_simulation,
    provider_selection_of,
)
from gateway.settings import Settings

PACKAGE = Path(gateway.__file__).parent
CONTENT_SECURITY_POLICY = '"Content-Security-Policy": "sandbox; '  # a browser's word


def settings(**variables: str) -> Settings:
    given = {
        "GATEWAY_ENV": "development",
        "GATEWAY_SECRET_KEY": "s0123456789abcdef0123456789abcdef",
        **variables,
    }
    return Settings.read(given)


def simulated() -> set[str]:
    return {name for name in provider_names() if load_provider(name).simulation}


def test_simulated_providers_are_offered_in_development_only() -> None:
    assert simulated()
    assert enabled_providers(settings()) == provider_names()
    production = enabled_providers(settings(GATEWAY_ENV="production"))
    assert set(production) == set(provider_names()) - simulated()


def test_default_provider_in_development_is_the_simulated_one() -> None:
    found = find_simulation()
    assert found
    assert provider_selection_of(settings()).default == found[0].name


def test_provider_that_is_not_offered_is_refused() -> None:
    (name, *_others) = simulated()
    with pytest.raises(InvalidSettings, match=name):
        provider_selection_of(settings(GATEWAY_ENV="production", GATEWAY_PROVIDER=name))


@pytest.mark.parametrize("name", provider_names())
def test_provider_is_named_in_its_own_folder_only(name: str) -> None:
    own = PACKAGE / "providers" / name
    others = [path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(own)]
    texts = {path: path.read_text().replace(CONTENT_SECURITY_POLICY, "") for path in others}
    naming = [path for path, text in texts.items() if re.search(rf"(?i)(?<![a-z]){name}", text)]
    assert naming == []
