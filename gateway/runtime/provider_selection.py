"""Which providers this installation offers, and which one a new instance gets."""

from functools import cache

from gateway.administration.partner import ProviderSelection
from gateway.contract.send import OutgoingMessage
from gateway.errors import InvalidSettings
from gateway.instances.provider_settings import secret_fields
from gateway.providers.loading import load_provider, load_providers
from gateway.sessions.provider import Provider, Simulation
from gateway.settings import Settings


def enabled_providers(settings: Settings) -> list[str]:
    """Returns the names of the providers that instances may have.

    A simulated one is offered in development only, so that no operator mistakes it for WhatsApp.
    """
    return [
        provider.name
        for provider in load_providers()
        if provider.simulation is None or settings.is_development
    ]


def find_simulation() -> tuple[Provider, Simulation] | None:
    """Returns the first provider that simulates WhatsApp, and what it offers; None without one."""
    for provider in load_providers():
        if provider.simulation is not None:
            return provider, provider.simulation
    return None


@cache
def can_send(name: str, kind: type[OutgoingMessage]) -> bool:
    """Whether the provider of this name sends messages of this class; it must be installed."""
    return load_provider(name).supports(kind)


def secret_settings_of(name: str) -> frozenset[str]:
    """Returns the secret fields among the settings that an instance gives its provider."""
    return secret_fields(load_provider(name).instance_settings)


def provider_selection_of(settings: Settings) -> ProviderSelection:
    """Returns the providers of new instances, and the default among them.

    Raises:
        InvalidSettings: GATEWAY_PROVIDER names none of the providers.
    """
    names = enabled_providers(settings)
    if settings.instances.provider and settings.instances.provider not in names:
        raise InvalidSettings(
            f"GATEWAY_PROVIDER: there is no provider {settings.instances.provider!r} here: "
            f"choose one of {', '.join(names) or '(none)'}"
        )
    return ProviderSelection(
        names, settings.instances.provider or _default(names), trials=settings.instances.trials
    )


def _default(names: list[str]) -> str | None:
    """The simulated provider, else the only one that is no opt-in; None where one has to choose."""
    simulated = find_simulation()
    if simulated and simulated[0].name in names:
        return simulated[0].name
    offered = [name for name in names if not load_provider(name).is_opt_in]
    return offered[0] if len(offered) == 1 else None
