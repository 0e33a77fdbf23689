-- name: notify
select pg_notify(%(channel)s::text, %(payload)s::text);
