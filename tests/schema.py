"""Dumps the migrated schema into sql/schema.sql, so that a review sees what a migration does."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import psycopg

from gateway.database.migrations import migrate
from gateway.embedded_postgres.cluster_site import find_binaries
from tests.fixtures.postgres import public_folder, running_postgres

SCHEMA_FILE = Path(__file__).parents[1] / "sql" / "schema.sql"
PG_DUMP = find_binaries() / "pg_dump"
# What differs from run to run, or says nothing.
NOISE = re.compile(r"^(--|\\|SET |SELECT pg_catalog)")
MONTH = re.compile(r"messages_\d{4}_\d{2}")


def dump_schema(url: str) -> str | None:
    """The schema as SQL, or None where pg_dump does not fit the server."""
    with psycopg.connect(url) as connection:
        server = connection.info.server_version // 10_000
    version = subprocess.run([PG_DUMP, "--version"], check=True, capture_output=True, text=True)
    if f" {server}." not in version.stdout:
        return None
    dumped = subprocess.run(
        [PG_DUMP, "--schema-only", "--no-owner", "--no-privileges", url],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    statements = "\n".join(line for line in dumped.splitlines() if not NOISE.match(line)).split(
        ";\n"
    )
    # The months come and go with time.
    kept = [s.strip() for s in statements if s.strip() and not MONTH.search(s)]
    return "-- Made by `make schema` from sql/migrations and sql/functions.\n\n" + "".join(
        f"{statement};\n\n" for statement in kept
    )


def main() -> None:
    with public_folder() as folder, running_postgres(folder / "pg") as url:
        asyncio.run(migrate(url))
        schema = dump_schema(url)
    assert schema is not None
    if "--check" in sys.argv:
        assert schema == SCHEMA_FILE.read_text(), "run `make schema`"
    SCHEMA_FILE.write_text(schema)


if __name__ == "__main__":
    main()
