"""Postgres: the pool, named queries, migrations, SQL functions and notifications."""
