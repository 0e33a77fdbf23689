"""The WhatsApp edge: one folder for each way of reaching it, and no list of them to edit.

A folder exposes one `provider` (see `gateway.sessions.provider`); nothing else names it.
"""

import pkgutil
from importlib import import_module

from gateway.errors import InvalidSettings
from gateway.sessions.provider import Provider


def provider_names() -> list[str]:
    """The folders found, in the order of the alphabet."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.ispkg)


def load_provider(name: str) -> Provider:
    """The provider of the folder called *name*.

    Raises:
        InvalidSettings: there is no such folder, or a package it needs is not installed.
    """
    known = provider_names()
    if name not in known:
        raise InvalidSettings(f"There is no provider {name!r}: choose one of {', '.join(known)}")
    try:
        provider = import_module(f"{__name__}.{name}").provider
    except ModuleNotFoundError as error:
        raise InvalidSettings(
            f"The provider {name!r} needs the package {error.name!r}, which is not installed"
        ) from error
    if not isinstance(provider, Provider):
        raise TypeError(f"gateway.providers.{name}.provider does not fit the port")
    return provider
