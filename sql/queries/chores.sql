-- Aliases: c maintenance task.

-- name: take
-- Takes the task for this interval, by the database's clock. With `repeated`, this node lost its
-- connection while it took the task or did the work: it gets the task again.
insert into chores as c (name, node_id, expires_at)
values (%(name)s::text, %(node_id)s::text, now() + make_interval(secs => %(seconds)s::double precision))
on conflict (name) do update set node_id = excluded.node_id, expires_at = excluded.expires_at
where c.expires_at <= now() or %(repeated)s::boolean and c.node_id = excluded.node_id;

-- name: write_probe
-- Shows that Postgres takes writes: one row, which all nodes write.
insert into chores (name, node_id, expires_at) values ('write probe', %(node_id)s::text, now())
on conflict (name) do update set node_id = excluded.node_id, expires_at = excluded.expires_at;
