"""Finds the pages: every module of gateway.panel.pages."""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from gateway.panel import pages
from gateway.panel.page import Page


@cache
def find_pages() -> Sequence[Page]:
    """Returns the variable `page` of each module; raises TypeError for a module without one."""
    names = sorted(module.name for module in iter_modules(pages.__path__))
    return tuple(_page_of(name) for name in names)


def _page_of(name: str) -> Page:
    found = getattr(import_module(f"{pages.__name__}.{name}"), "page", None)
    if not isinstance(found, Page):
        raise TypeError(f"{pages.__name__}.{name} has no `page`")
    return found
