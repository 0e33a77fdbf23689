"""Reads where the files of providers in sql/queries declare content, above their first statement.

-- seals <statement> <parameter>:<kind> ...      parameters that hold content
-- opens <statement> <column>:<kind> ...         columns that hold content
-- rows <table> <key>:<type> ... / <column>:<kind> ...   a table that holds content
-- secrets <table> <column>                      a column that is sealed, whatever accounts want

Kinds are those of `sealed_columns`. Only a provider's own files may name it, so its statements are
not in the list there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from gateway.database.sql_files import sql_folder

_LINE: Final = re.compile(r"^-- (seals|opens|rows|secrets) (\S+) (.+)$", re.MULTILINE)
_FIRST_STATEMENT: Final = "\n-- name: "


@dataclass(frozen=True, slots=True)
class DeclaredStatement:
    """The parameters and the columns of a statement that hold content, with their kinds."""

    file: str
    name: str
    writes: Mapping[str, str]
    reads: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeclaredTable:
    """A table that holds content: its key within an instance, with types, and its columns."""

    name: tuple[str, str]
    key: Mapping[str, str]
    content: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DeclaredSecret:
    """A column that is sealed for every instance; its provider puts it under a new key."""

    table: tuple[str, str]
    column: str


@dataclass(frozen=True, slots=True)
class _Line:
    file: str
    word: str
    name: str
    rest: str


@cache
def declared_statements() -> tuple[DeclaredStatement, ...]:
    lines = [line for line in _lines() if line.word in ("seals", "opens")]
    named = dict.fromkeys((line.file, line.name) for line in lines)

    def pairs_of(file: str, name: str, word: str) -> Mapping[str, str]:
        found = (each for each in lines if (each.file, each.name, each.word) == (file, name, word))
        return {column: kind for each in found for column, kind in _pairs(each.rest).items()}

    return tuple(
        DeclaredStatement(f, name, pairs_of(f, name, "seals"), pairs_of(f, name, "opens"))
        for f, name in named
    )


@cache
def declared_tables() -> tuple[DeclaredTable, ...]:
    tables = []
    for line in _lines():
        if line.word == "rows":
            schema, _, table = line.name.partition(".")
            key, _, content = line.rest.partition(" / ")
            tables.append(DeclaredTable((schema, table), _pairs(key), _pairs(content)))
    return tuple(tables)


@cache
def declared_secrets() -> tuple[DeclaredSecret, ...]:
    found = []
    for line in _lines():
        if line.word == "secrets":
            schema, _, table = line.name.partition(".")
            found.append(DeclaredSecret((schema, table), line.rest))
    return tuple(found)


def _lines() -> Iterator[_Line]:
    folder = sql_folder() / "queries"
    for file in sorted(folder.iterdir(), key=lambda each: each.name):
        head, _, _ = file.read_text(encoding="utf-8").partition(_FIRST_STATEMENT)
        for word, name, rest in _LINE.findall(head):
            yield _Line(file.name.removesuffix(".sql"), word, name, rest)


def _pairs(text: str) -> dict[str, str]:
    return dict(pair.split(":", 1) for pair in text.split())
