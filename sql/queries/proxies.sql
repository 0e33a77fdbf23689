-- Aliases: i instance.

-- name: set_proxy
-- Nulls remove it. What is known of the one before says nothing of this one.
with forgotten as (
    -- Deletes the checks of the proxy before.
    delete from proxy_checks where instance_id = %(instance_id)s::text
)
update instances set proxy_ciphertext = %(ciphertext)s::bytea, proxy_key_id = %(key_id)s::text
where id = %(instance_id)s::text;

-- name: note_check
-- Unless another proxy was set meanwhile; the newest are kept.
with forgotten as (
    -- Deletes the oldest checks, so that this one has room.
    delete from proxy_checks
    where id in (
        select id from proxy_checks where instance_id = %(instance_id)s::text
        order by id desc offset %(max_count)s::int - 1
    )
)
insert into proxy_checks (instance_id, latency_ms, error)
select i.id, %(latency_ms)s::int, %(error)s::text
from instances i
where i.id = %(instance_id)s::text and i.proxy_ciphertext = %(ciphertext)s::bytea;

-- name: list_checks
select id, latency_ms, error, checked_at from proxy_checks
where instance_id = %(instance_id)s::text
order by id desc;
