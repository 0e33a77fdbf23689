-- Aliases: i instance.

-- name: set_proxy
-- Stores the proxy of an instance; nulls remove it.
with deleted as (
    -- Deletes the checks, which are those of the proxy before.
    delete from proxy_checks where instance_id = %(instance_id)s::text
)
update instances set proxy_ciphertext = %(ciphertext)s::bytea, proxy_key_id = %(key_id)s::text
where id = %(instance_id)s::text;

-- name: list_proxies
-- The proxies of all instances.
select id as instance_id, proxy_ciphertext as ciphertext, proxy_key_id as key_id
from instances
where proxy_ciphertext is not null and proxy_key_id is not null
order by id;

-- name: add_check
-- Stores a check unless another proxy has been set since. The newest `max_count` stay.
with deleted as (
    -- Deletes the oldest checks.
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
-- The newest first.
select id, latency_ms, error, checked_at from proxy_checks
where instance_id = %(instance_id)s::text
order by id desc;
