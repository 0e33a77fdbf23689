"""The catalogues have a translation for each text of the panel, and none too many."""

import re
from pathlib import Path

import pytest
from babel.messages.catalog import Catalog
from selectolax.lexbor import LexborHTMLParser, LexborNode

from gateway.contract.scopes import UserRole
from gateway.panel.known_texts import ROLES
from gateway.panel.languages import locale_of
from gateway.panel.rendering import TEMPLATES
from gateway.users.store import Language
from tests.translations import (
    TRANSLATED,
    catalogue_at,
    file_of,
    problems_of,
    texts_of_code,
    update,
)

_JINJA = re.compile(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]{3,}")
_NOT_SPOKEN = re.compile(
    r"\b(Gateway|CSV|JSON Lines|OpenAPI)\b|https?://\S*|/panel/\S*|\?\w+=|[\w-]+=\"[^\"]*\""
)
"""Names, addresses, and attributes that a macro puts into an element."""
_SPOKEN = ("alt", "aria-label", "placeholder", "title")


@pytest.mark.parametrize("language", TRANSLATED)
def test_each_text_is_translated(language: Language) -> None:
    file = file_of(language)
    found = list(problems_of(catalogue_at(file, str(locale_of(language))), texts_of_code()))
    assert found == []


def test_texts_of_code_and_templates_are_found() -> None:
    texts = {message.id for message in texts_of_code()}

    assert {"Your profile", "Sign out", "Today", "Saved.", "The database does not answer"} <= texts


def test_each_role_has_a_name() -> None:
    assert {role.value.capitalize() for role in UserRole} == set(ROLES)


def test_update_retains_translations_and_drops_texts_that_are_gone(tmp_path: Path) -> None:
    file, texts, gone = tmp_path / "es" / "panel.po", Catalog(), Catalog()
    for text in ("Save", "%(count)s left", ("%(num)s key", "%(num)s keys")):
        texts.add(text)
    gone.add("Save", "Guardar")
    gone.add("Gone", "Ido")

    update(file, "es", gone)
    update(file, "es", texts)
    first = file.read_bytes()
    update(file, "es", texts)

    assert file.read_bytes() == first
    assert b"#:" not in first
    catalogue = catalogue_at(file, "es")
    assert {message.id: message.string for message in catalogue if message.id}["Save"] == "Guardar"
    assert set(problems_of(catalogue, texts)) == {
        "not translated: %(count)s left",
        "not translated: %(num)s key",
    }


def test_update_retains_the_head_and_wraps_no_line(tmp_path: Path) -> None:
    file, texts = tmp_path / "panel.po", Catalog()
    head = '# Glossary\nmsgid ""\nmsgstr ""\n"Language: es\\n"\n\n'
    file.write_text(head + 'msgid "Save"\nmsgstr "Guardar"\n')
    long = "word " * 60
    for text in ("Save", long, "A first one"):
        texts.add(text)

    update(file, "es", texts)

    assert file.read_text().startswith(head + 'msgid "A first one"\n')
    assert f'msgid "{long}"' in file.read_text()


@pytest.mark.parametrize(
    ("translation", "problems"),
    [
        ("quedan %(count)s", []),
        ("quedan", ["other placeholders: %(count)s left -> quedan"]),
        ("%(n)s quedan", ["other placeholders: %(count)s left -> %(n)s quedan"]),
    ],
)
def test_other_placeholders_are_found(translation: str, problems: list[str]) -> None:
    texts, catalogue = Catalog(), Catalog(locale="es")
    texts.add("%(count)s left")
    catalogue.add("%(count)s left", translation)
    catalogue.add("Gone", "Ido")

    assert list(problems_of(catalogue, texts)) == ["no longer in the code: Gone", *problems]


def spoken_in(template: str) -> list[str]:
    """Returns the words of a template that no catalogue translates."""
    tree = LexborHTMLParser(_JINJA.sub(" ", template))
    found = [str(node.attributes[a]) for a in _SPOKEN for node in tree.css(f"[{a}]")]
    found += [t.text(deep=False) for t in _texts_below(tree.root)]
    return [text.strip() for text in found if _WORD.search(_NOT_SPOKEN.sub("", text))]


def _texts_below(node: LexborNode | None) -> list[LexborNode]:
    if node is None or node.tag in {"code", "pre", "script", "style"}:
        return []
    found = [node] if node.tag == "-text" else []
    for child in node.iter(include_text=True):
        found += _texts_below(child)
    return found


@pytest.mark.parametrize("file", sorted(TEMPLATES.rglob("*.html")), ids=lambda file: file.name)
def test_template_has_no_text_outside_the_catalogues(file: Path) -> None:
    assert spoken_in(file.read_text()) == []


def test_text_outside_the_catalogues_is_found() -> None:
    assert spoken_in('<p>{{ _("Fine") }} Hello</p><img alt="Logo"><code>curl</code>') == [
        "Logo",
        "Hello",
    ]
