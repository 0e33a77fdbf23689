"""The languages of the panel: which one a visitor reads, and its translations."""

import re
from collections.abc import Mapping
from functools import cache
from gettext import NullTranslations
from io import BytesIO
from pathlib import Path
from typing import Final

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.support import Translations

from gateway.users.store import Language

LANGUAGES: Final[tuple[Language, ...]] = ("pt-BR", "en", "es")
N_: Final = str
"""Marks a text for the catalogues that is translated where it is shown."""


def NP_(one: str, many: str) -> tuple[str, str]:  # noqa: N802 - named like N_
    """Marks a text for one and for many things, as N_ marks a text."""
    return one, many


class Translated(str):
    """A text that is in the language of a visit already."""

    __slots__ = ()


_DEFAULT: Final[Language] = "pt-BR"
_CATALOGUES = Path(__file__).parent / "locales"
_ACCEPTED = re.compile(
    r"(?P<code>[A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*(?:\s*;\s*q=(?P<q>[0-9.]{1,5}))?"
)
_BY_CODE: Final[Mapping[str, Language]] = {name[:2]: name for name in LANGUAGES}


def language_named(text: str | None) -> Language | None:
    """Returns the language of this name, None for any other text."""
    return next((language for language in LANGUAGES if language == text), None)


def accepted_language(header: str) -> Language:
    """Returns the language of an Accept-Language header that the panel has, by preference."""
    wanted: list[tuple[float, Language]] = []
    for part in header[:200].split(","):
        found = _ACCEPTED.fullmatch(part.strip())
        language = _BY_CODE.get(found["code"].lower()) if found else None
        if found and language:
            wanted.append((_number(found["q"]), language))
    return max(wanted, key=lambda each: each[0])[1] if wanted else _DEFAULT


def locale_of(language: Language) -> Locale:
    return Locale.parse(language, sep="-")


def name_of(language: Language) -> str:
    """Returns the name of a language in that language."""
    locale = locale_of(language)
    return (locale.get_language_name() or language).capitalize()


@cache
def translations_of(language: Language) -> NullTranslations:
    """Returns the texts of a language; English texts are those of the code."""
    folder = str(locale_of(language))
    file = _CATALOGUES / folder / "LC_MESSAGES" / "panel.po"
    if not file.exists():
        return NullTranslations()
    compiled = BytesIO()
    with file.open("rb") as source:
        write_mo(compiled, read_po(source, locale=folder))
    compiled.seek(0)
    return Translations(compiled, domain="panel")


def _number(quality: str | None) -> float:
    try:
        return float(quality or 1)
    except ValueError:
        return 0.0
