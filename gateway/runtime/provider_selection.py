"""Which ways to WhatsApp this installation offers."""

from gateway.administration.partner import ProviderSelection
from gateway.errors import InvalidSettings
from gateway.providers.loading import provider_names
from gateway.settings import Settings

_SANDBOX = "sandbox"


def enabled_providers(settings: Settings) -> list[str]:
    """A simulator must not be mistaken for WhatsApp, so it is for development only."""
    return [n for n in provider_names() if n != _SANDBOX or settings.env == "development"]


def provider_selection_of(settings: Settings) -> ProviderSelection:
    """What a new instance gets.

    Raises:
        InvalidSettings: GATEWAY_PROVIDER names none of the providers.
    """
    names = enabled_providers(settings)
    if settings.provider and settings.provider not in names:
        raise InvalidSettings(
            f"GATEWAY_PROVIDER: there is no provider {settings.provider!r} here: "
            f"choose one of {', '.join(names) or '(none)'}"
        )
    others = [name for name in names if name != _SANDBOX]
    if settings.provider:
        default: str | None = settings.provider
    elif _SANDBOX in names:
        default = _SANDBOX
    else:
        default = others[0] if len(others) == 1 else None
    return ProviderSelection(names, default, trials=settings.trials)
