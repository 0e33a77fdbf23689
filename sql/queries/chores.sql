-- Aliases: c maintenance task.

-- name: take
-- Returns a row only for the node that runs the task in this interval, by the database's clock.
insert into chores as c (name, node_id, expires_at)
values (%(name)s::text, %(node_id)s::text, now() + make_interval(secs => %(seconds)s::double precision))
on conflict (name) do update set node_id = excluded.node_id, expires_at = excluded.expires_at
where c.expires_at <= now();

-- name: write_probe
-- Shows that Postgres takes writes: one row, which all nodes write.
insert into chores (name, node_id, expires_at) values ('write probe', %(node_id)s::text, now())
on conflict (name) do update set node_id = excluded.node_id, expires_at = excluded.expires_at;
