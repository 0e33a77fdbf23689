"""Named queries: sql/queries/<room>.sql holds blocks headed `-- name: <query>`."""

import re
from functools import cache

from psycopg.sql import SQL

from gateway.database.sql_files import sql_folder

_HEADING = re.compile(r"^-- name: (?P<name>[a-z_]+)$", re.MULTILINE)


def query(room: str, name: str) -> SQL:
    """The query called *name* in *room*; called at import, so that a misspelt name fails there."""
    return queries_in(room)[name]


@cache
def queries_in(room: str) -> dict[str, SQL]:
    """Every query of a room."""
    file = sql_folder() / "queries" / f"{room}.sql"
    return parse_queries(file.read_text(encoding="utf-8"))


def parse_queries(text: str) -> dict[str, SQL]:
    """The queries of a file's text, by name; what stands before the first heading is left out."""
    _preamble, *blocks = _HEADING.split(text)
    names = blocks[::2]
    if len(set(names)) < len(names):
        raise ValueError(f"A query is named twice among {', '.join(names)}")
    return {
        name: SQL(_squeezed(body).removesuffix(";"))
        for name, body in zip(names, blocks[1::2], strict=True)
    }


def _squeezed(body: str) -> str:
    """Without comments and indentation: psycopg parses what is longer than 4 KiB each time."""
    lines = (line.strip() for line in body.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))
