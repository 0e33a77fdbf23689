"""Named queries: sql/queries/<file>.sql has blocks headed `-- name: <query>`."""

import re
from functools import cache

from psycopg.sql import SQL

from gateway.database.sql_files import sql_folder

_HEADING = re.compile(r"^-- name: (?P<name>[a-z_]+)$", re.MULTILINE)


def query(file: str, name: str) -> SQL:
    """Returns the query *name* of *file*; modules call it at import, where a wrong name fails."""
    return queries_in(file)[name]


@cache
def queries_in(file: str) -> dict[str, SQL]:
    """Returns every query of a file, by name."""
    path = sql_folder() / "queries" / f"{file}.sql"
    return parse_queries(path.read_text(encoding="utf-8"))


def parse_queries(text: str) -> dict[str, SQL]:
    """Returns the queries of a file's text, by name; text before the first heading is ignored."""
    _preamble, *blocks = _HEADING.split(text)
    names = blocks[::2]
    if len(set(names)) < len(names):
        raise ValueError(f"A query is named twice among {', '.join(names)}")
    return {
        name: SQL(_without_comments(body).removesuffix(";"))
        for name, body in zip(names, blocks[1::2], strict=True)
    }


def _without_comments(body: str) -> str:
    """Removes comments and indentation: psycopg caches only statements shorter than 4 KiB."""
    lines = (line.strip() for line in body.splitlines())
    return "\n".join(line for line in lines if line and not line.startswith("--"))
