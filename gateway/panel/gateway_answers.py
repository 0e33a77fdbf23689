"""What the gateway answers in English, in the language of a page."""

import re
from functools import cache
from typing import Final

from gateway.panel.known_texts import FIELDS, SENTENCES
from gateway.panel.languages import N_, Translated, translations_of
from gateway.users.store import Language

_UNKNOWN: Final = N_("The gateway says: %(text)s")
_MAX_DEPTH: Final = 3


def answer_text(language: Language, error: Exception) -> str:
    """Returns the text of an error; one that the panel does not know stays English, with a lead."""
    text = error.args[0] if error.args else ""
    if isinstance(text, Translated):
        return text
    found = known_text(language, str(text))
    if found is not None or language == "en":
        return found or str(text)
    return translations_of(language).gettext(_UNKNOWN) % {"text": text}


def known_answer(language: Language, text: str) -> str:
    """Returns a text of the gateway in a language; as it is where the panel does not know it."""
    found = known_text(language, text)
    if found is None and text[:1].isupper():  # a field's requirement as a sentence
        lower = known_text(language, text[0].lower() + text[1:])
        found = lower and lower[0].upper() + lower[1:]
    return found or text


def known_text(language: Language, text: str, depth: int = 0) -> str | None:
    """Returns a text of the gateway in a language; None where the panel does not know it."""
    texts = translations_of(language)
    if text and (translated := texts.gettext(text)) != text:
        return translated
    for pattern, message in _sentences():
        if match := pattern.fullmatch(text):
            values = match.groupdict()
            if "reason" in values and depth < _MAX_DEPTH:
                reason = values["reason"]
                values["reason"] = known_text(language, reason, depth + 1) or reason
            if "names" in values:
                values["names"] = values["names"].replace(" or ", ", ")
            return texts.gettext(message) % values
    field, colon, rest = text.partition(": ")
    requirement = known_text(language, rest, depth + 1) if colon and depth < _MAX_DEPTH else None
    if requirement is None:
        return None
    return f"{texts.gettext(FIELDS.get(field, field))}: {requirement}"


@cache
def _sentences() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), text) for pattern, text in SENTENCES.items())
