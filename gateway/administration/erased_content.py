"""Removes the numbers, mentions and contact cards of a person from content of other chats."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

ERASED: Final = "erased"
"""Stands for the name and the text of an erased contact card."""

_ERASED_NUMBER: Final = "10000000000"  # a valid form that no person has
_ERASED_LID: Final = "100000000000000@lid"
_LID: Final = "@lid"
_MENTIONS: Final = frozenset({"mentioned", "mentionedJID", "mentionedJid"})
_QUOTES: Final = frozenset({"quotedMessage"})
_NUMBER_OF_CARD: Final = ("contact_phone", "contactPhone")
_CARD_NUMBERS: Final = ("phones", *_NUMBER_OF_CARD, "vCard", "vcard")
_CARD_TEXTS: Final = frozenset(
    {
        "name",
        "displayName",
        "display_name",
        "contactName",
        "contact_name",
        "vCard",
        "vcard",
        "businessDescription",
        "business_description",
        "contactBusinessDescription",
        "contact_business_description",
    }
)
_BRAZILIAN_MOBILE: Final = re.compile(r"55([1-9][0-9])(9?)([6-9][0-9]{7})", re.ASCII)
# Written as people write numbers; both Python and Postgres understand it.
_BETWEEN_DIGITS: Final = "[ ().+-]{0,3}"


def with_both_spellings(names: Iterable[str]) -> list[str]:
    """Returns the names, sorted, with and without the ninth digit of Brazilian mobile numbers."""
    found = set()
    for name in names:
        found.add(name)
        if mobile := _BRAZILIAN_MOBILE.fullmatch(name):
            area, _ninth, rest = mobile.groups()
            found |= {f"55{area}{rest}", f"55{area}9{rest}"}
    return sorted(found)


class ErasedNames:
    """The numbers and lids of one person, and what content is without them.

    Texts are searched for the digits, also with blanks and marks between them. The person's name in
    a text that another person wrote stays: nothing says who is meant.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Creates the search for *names*, which are numbers and lids."""
        self.names = frozenset(names)
        digits = sorted({name.removesuffix(_LID) for name in names}, key=len, reverse=True)
        spelled = "|".join(map(_BETWEEN_DIGITS.join, digits))
        self.pattern = f"({spelled})"
        """A regular expression of Postgres: a text that does not match does not name the person."""
        self._found = re.compile(rf"\+?(?<![0-9])(?:{spelled})(?![0-9])", re.ASCII)

    def are_in(self, value: Any) -> bool:  # noqa: ANN401 - any JSON
        """Says whether a text of the JSON value names the person."""
        match value:
            case str():
                return self._found.search(value) is not None
            case Mapping():
                return any(self.are_in(key) or self.are_in(item) for key, item in value.items())
            case list() | tuple():
                return any(map(self.are_in, value))
            case _:
                return False

    def have_card_in(self, value: Any) -> bool:  # noqa: ANN401 - any JSON
        """Says whether the JSON value holds a contact card of the person."""
        match value:
            case Mapping():
                return self._is_card(value) or any(map(self.have_card_in, value.values()))
            case list() | tuple():
                return any(map(self.have_card_in, value))
            case _:
                return False

    def erased_from(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Returns the JSON value without the person."""
        match value:
            case str():
                return self._text(value)
            case Mapping():
                return self._mapping(value)
            case list() | tuple():
                return [self.erased_from(item) for item in value]
            case _:
                return value

    def erased_from_json(self, text: str | bytes) -> bytes:
        """Returns the JSON text without the person.

        Raises:
            orjson.JSONDecodeError: it is no JSON.
        """
        return orjson.dumps(self.erased_from(orjson.loads(text)))

    def _text(self, text: str) -> str:
        if text in self.names:
            return _ERASED_LID if text.endswith(_LID) else _ERASED_NUMBER
        return self._found.sub(lambda found: "*" * len(found[0]), text)

    def _mapping(self, value: Mapping[str, Any]) -> dict[str, Any]:
        is_card, quotes = self._is_card(value), self._quoted(value)
        return {
            key: self._field(key, item, is_card=is_card)
            for key, item in value.items()
            if not (self.are_in(key) or (quotes and key in _QUOTES))
        }

    def _field(self, key: str, item: Any, *, is_card: bool) -> Any:  # noqa: ANN401 - any JSON
        if is_card and key in _CARD_TEXTS and item is not None:
            return ERASED
        if is_card and key in _NUMBER_OF_CARD:
            return _ERASED_NUMBER
        if is_card and key == "phones":
            return [_ERASED_NUMBER]
        if key in _MENTIONS and isinstance(item, list | tuple):
            return [self.erased_from(each) for each in item if not self.are_in(each)]
        return self.erased_from(item)

    def _is_card(self, value: Mapping[str, Any]) -> bool:
        return any(self.are_in(value[key]) for key in _CARD_NUMBERS if key in value)

    def _quoted(self, value: Mapping[str, Any]) -> bool:
        """Says whether the object quotes a message of the person."""
        return self.are_in(value.get("participant"))
