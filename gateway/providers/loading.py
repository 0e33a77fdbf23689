"""Finds the providers: the folders of this package, each with a module `provider`."""

import pkgutil
from importlib import import_module

import gateway.providers as package
from gateway.errors import InvalidSettings
from gateway.sessions.provider import Provider


def provider_names() -> list[str]:
    """Returns the names of the folders, sorted."""
    return sorted(module.name for module in pkgutil.iter_modules(package.__path__) if module.ispkg)


def load_provider(name: str) -> Provider:
    """Imports and returns the provider of the folder *name*.

    Raises:
        InvalidSettings: the folder does not exist, or a package that it needs is not installed.
    """
    known = provider_names()
    if name not in known:
        raise InvalidSettings(f"There is no provider {name!r}: choose one of {', '.join(known)}")
    try:
        provider = import_module(f"{package.__name__}.{name}.provider").provider
    except ModuleNotFoundError as error:
        raise InvalidSettings(
            f"The provider {name!r} needs the package {error.name!r}, which is not installed"
        ) from error
    if not isinstance(provider, Provider):
        raise TypeError(f"gateway.providers.{name}.provider does not fit the port")
    return provider


def load_providers() -> list[Provider]:
    """Imports and returns every provider; raises InvalidSettings as `load_provider` does."""
    return [load_provider(name) for name in provider_names()]
