"""Postgres: the pool, named queries, migrations, notifications."""
