"""Which providers this installation offers, and which one a new instance gets."""

from gateway.administration.partner import ProviderSelection
from gateway.errors import InvalidSettings
from gateway.providers import provider_names
from gateway.settings import Settings

_SANDBOX = "sandbox"


def enabled_providers(settings: Settings) -> list[str]:
    """Returns the names of the offered providers: all, without the sandbox in production.

    An operator must not mistake the simulator for WhatsApp.
    """
    return [n for n in provider_names() if n != _SANDBOX or settings.is_development]


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
    others = [name for name in names if name != _SANDBOX]
    if settings.instances.provider:
        default: str | None = settings.instances.provider
    elif _SANDBOX in names:
        default = _SANDBOX
    else:
        default = others[0] if len(others) == 1 else None
    return ProviderSelection(names, default, trials=settings.instances.trials)
