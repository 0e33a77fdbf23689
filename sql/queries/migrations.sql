-- name: lock
-- The transaction owns this lock until its end, so it also works through a pooler.
select pg_advisory_xact_lock(hashtext('gateway migrations'));

-- name: limit_lock_wait
-- Shorter than `deadlock_timeout` (1 s): else Postgres would end a statement of a running node.
select set_config('lock_timeout', '300ms', true);

-- name: prepare
create table if not exists schema_migrations (
    number          integer primary key,
    name            text not null,
    compatible_with integer not null,
    applied_at      timestamptz not null default now()
);

-- name: list_applied
select number, compatible_with from schema_migrations;

-- name: note_applied
insert into schema_migrations (number, name, compatible_with)
values (%(number)s::integer, %(name)s::text, %(compatible_with)s::integer);

-- name: list_functions
-- Leaves out functions that were dropped after they were noted.
select name, sha256, released from schema_functions where to_regproc(name) is not null;

-- name: note_function
insert into schema_functions (name, sha256, released)
values (%(name)s::text, %(sha256)s::text, %(released)s::boolean)
on conflict (name) do update
set sha256 = excluded.sha256, released = excluded.released, applied_at = now();

-- name: render_month_partitions
-- Returns one statement per month: this one and the next two.
select 'create table if not exists messages_' || to_char(month, 'YYYY_MM')
    || ' partition of messages for values from (' || quote_literal(month || 'Z')
    || ') to (' || quote_literal(month + interval '1 month' || 'Z') || ')'
from generate_series(
    date_trunc('month', now() at time zone 'utc'), now() at time zone 'utc' + interval '2 months', interval '1 month'
) as month;
