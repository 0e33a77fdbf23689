"""Named queries: sql/queries/<room>.sql holds blocks headed `-- name: <query>`."""

import re
from functools import cache
from typing import LiteralString, cast

from psycopg.sql import SQL

from gateway.database.sql_files import sql_folder

_HEADING = re.compile(r"^-- name: (?P<name>[a-z_]+)$", re.MULTILINE)


def query(room: str, name: str) -> SQL:
    """The query called *name* in *room*; called at import, so that a misspelt name fails there."""
    return queries_in(room)[name]


@cache
def queries_in(room: str) -> dict[str, SQL]:
    """Every query of a room."""
    text = (sql_folder() / "queries" / f"{room}.sql").read_text(encoding="utf-8")
    _preamble, *blocks = _HEADING.split(text)
    names = blocks[::2]
    if len(set(names)) < len(names):
        raise ValueError(f"sql/queries/{room}.sql names a query twice")
    # Our own files are as trusted as our own code, hence LiteralString.
    return {
        name: SQL(cast("LiteralString", body.strip().removesuffix(";")))
        for name, body in zip(names, blocks[1::2], strict=True)
    }
