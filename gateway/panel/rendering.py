"""Renders templates: one Jinja environment per language."""

from collections.abc import Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gateway.panel.assets import asset_url, icon_names
from gateway.panel.charts import Charts
from gateway.panel.formats import Formats
from gateway.panel.gateway_answers import known_answer
from gateway.panel.languages import LANGUAGES, locale_of, name_of, translations_of
from gateway.users.store import Language

TEMPLATES: Final = Path(__file__).parent / "templates"


@cache
def environment_of(language: Language) -> Environment:
    """Returns the environment with the filters, texts and globals of a language."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
    )
    formats = Formats(locale_of(language))
    # The extension adds this method at run time.
    environment.install_gettext_translations(  # type: ignore[attr-defined]
        translations_of(language), newstyle=True
    )
    environment.filters.update(formats.filters(), said=partial(known_answer, language))
    environment.globals.update(
        asset=asset_url,
        icon=icon,
        charts=Charts(formats.compact),
        languages={each: name_of(each) for each in LANGUAGES},
    )
    return environment


def render(template: str, language: Language, context: Mapping[str, Any]) -> str:
    """Returns a template as HTML."""
    return environment_of(language).get_template(template).render(context)


@cache
def icon(name: str, kind: str = "") -> Markup:
    """Returns an icon of the sprite, which screen readers skip.

    Raises:
        KeyError: the sprite has no such symbol.
    """
    if name not in icon_names():
        raise KeyError(name)
    return Markup(
        '<svg class="icon {}" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>'
    ).format(kind, asset_url("icons.svg"), name)
