"""Brings the catalogues of the panel in step with its texts: `python tests/translations.py`.

Takes the English texts out of gateway/panel, adds new ones to each catalogue without a
translation, and drops those that are gone. No line numbers, no dates and no wrapped lines: a
change of the code changes a catalogue only where a text changed. What a catalogue has at its head,
the glossary and the plural forms, stays as it is.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.pofile import read_po, write_po

from gateway.panel.languages import LANGUAGES, locale_of

PANEL: Final = Path(__file__).parents[1] / "gateway" / "panel"
LOCALES: Final = PANEL / "locales"
TRANSLATED: Final = tuple(each for each in LANGUAGES if each != "en")
_METHODS: Final = [("**.py", "python"), ("templates/**.html", "jinja2")]
_OPTIONS: Final = {
    "templates/**.html": {"extensions": "jinja2.ext.do", "silent": "false", "trimmed": "true"}
}
_KEYWORDS: Final = {**DEFAULT_KEYWORDS, "N_": None, "NP_": (1, 2)}
_HEAD: Final = b'msgid ""\nmsgstr ""\n'
_PLACEHOLDER = re.compile(r"%\((\w+)\)[sd]")


def texts_of_code(folder: Path = PANEL) -> Catalog:
    """Returns the texts of the code and the templates, without translations."""
    found = Catalog()
    for _file, _line, text, comments, context in extract_from_dir(
        folder, _METHODS, options_map=_OPTIONS, keywords=_KEYWORDS, comment_tags=("Translators:",)
    ):
        found.add(text, auto_comments=comments, context=context)
    return found


def file_of(language: str, folder: Path = LOCALES) -> Path:
    name = str(locale_of(next(each for each in LANGUAGES if each == language)))
    return folder / name / "LC_MESSAGES" / "panel.po"


def catalogue_at(file: Path, locale: str) -> Catalog:
    """Returns a catalogue; an empty one where there is no file yet."""
    if not file.exists():
        return Catalog(locale=locale)
    with file.open("rb") as source:
        return read_po(source, locale=locale)


def update(file: Path, locale: str, texts: Catalog) -> None:
    """Writes a catalogue with these texts, and the translations that it has."""
    catalogue = catalogue_at(file, locale)
    catalogue.update(texts, no_fuzzy_matching=True)
    head = _head_of(file)
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("wb") as target:
        target.write(head)
        write_po(
            target,
            catalogue,
            omit_header=True,
            no_location=True,
            sort_output=True,
            ignore_obsolete=True,
            width=0,
        )


def _head_of(file: Path) -> bytes:
    """Returns the first entry of a catalogue with its comments; empty if there is none."""
    if not file.exists():
        return b""
    head, blank, _rest = file.read_bytes().partition(b"\n\n")
    return head + blank if _HEAD in head else b""


def problems_of(catalogue: Catalog, texts: Catalog) -> Iterator[str]:
    """Yields what a catalogue lacks, has too much, and translates with other placeholders."""
    wanted = {message.id for message in texts if message.id}
    had = {message.id for message in catalogue if message.id}
    yield from (f"missing: {each}" for each in sorted(map(str, wanted - had)))
    yield from (f"no longer in the code: {each}" for each in sorted(map(str, had - wanted)))
    for message in catalogue:
        if message.id in wanted:
            yield from _problems_of_message(message)


def _problems_of_message(message: Message) -> Iterator[str]:
    ids = [message.id] if isinstance(message.id, str) else list(message.id)
    strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
    if not all(strings) or message.fuzzy:
        yield f"not translated: {ids[0]}"
        return
    wanted = _placeholders(*ids)
    for text in strings:
        # The form for one thing may say "one" instead of the number.
        if _placeholders(text) != wanted and _placeholders(text) | {"num"} != wanted:
            yield f"other placeholders: {ids[0]} -> {text}"


def _placeholders(*texts: str) -> set[str]:
    return {name for text in texts for name in _PLACEHOLDER.findall(text)}


def main() -> None:
    texts = texts_of_code()
    for language in TRANSLATED:
        file = file_of(language)
        locale = str(locale_of(language))
        update(file, locale, texts)
        lacking = sum(1 for _ in problems_of(catalogue_at(file, locale), texts))
        sys.stdout.write(f"{language}: {len(texts)} texts, {lacking} to do\n")


if __name__ == "__main__":
    main()
