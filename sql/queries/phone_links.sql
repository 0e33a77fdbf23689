-- Aliases: c connection, e lease, i instance, l link, n queue of an instance.

-- name: create_phone_link
-- Replaces the link that the instance had. Returns no row if a phone is linked. The code that the
-- earlier link handed out last may still work, so its time stays.
with queue as materialized (
    -- Locks the queue, as the linking does that this link must not miss.
    select n.instance_id
    from instance_lines n
    left join instance_connections c on c.instance_id = n.instance_id
    where n.instance_id = %(instance_id)s::text and not n.connected
        and coalesce(c.state, 'unpaired') not in ('connected', 'disconnected', 'replaced', 'outdated')
    for no key update of n
)
insert into phone_links as l (instance_id, token_hash, phones, max_codes, expires_at)
select queue.instance_id, %(token_hash)s::bytea, %(phones)s::text[], %(max_codes)s::int,
       now() + make_interval(mins => %(minutes)s::int)
from queue
on conflict (instance_id) do update
set token_hash = excluded.token_hash, phones = excluded.phones, max_codes = excluded.max_codes,
    codes_served = 0, last_code_hash = null, created_at = excluded.created_at,
    expires_at = excluded.expires_at, revoked_at = null, used_at = null, linking = null,
    unlinked_at = null
returning expires_at;

-- name: find_phone_link
select l.instance_id, l.phones, l.max_codes, l.codes_served, l.created_at, l.expires_at,
       l.expires_at <= now() as is_expired, l.revoked_at, l.used_at, l.linking, l.unlinked_at
from phone_links l
where l.instance_id = %(instance_id)s::text;

-- name: find_phone_link_by_token
select l.instance_id, l.phones, l.max_codes, l.codes_served, l.created_at, l.expires_at,
       l.expires_at <= now() as is_expired, l.revoked_at, l.used_at, l.linking, l.unlinked_at
from phone_links l
where l.token_hash = %(token_hash)s::bytea;

-- name: revoke_phone_link
update phone_links l set revoked_at = coalesce(l.revoked_at, now())
where l.instance_id = %(instance_id)s::text and l.used_at is null and l.expires_at > now();

-- name: count_code
-- Counts a code before it is handed out, unless it is the code that was handed out last. Changes
-- nothing if the link is over or has no code left.
update phone_links l
set codes_served = l.codes_served + (l.last_code_hash is distinct from %(code_hash)s::bytea)::int,
    last_code_hash = %(code_hash)s::bytea, last_code_at = now()
where l.token_hash = %(token_hash)s::bytea
    and l.used_at is null and l.revoked_at is null and l.expires_at > now()
    and (l.codes_served < l.max_codes or l.last_code_hash = %(code_hash)s::bytea);

-- name: confirm_linking
-- Ends the hold and wakes the worker. Returns no row if no linking waits for the owner.
with queue as materialized (
    -- Locks the queue before the link, in the order of a linking.
    select n.instance_id
    from instance_lines n
    where n.instance_id = %(instance_id)s::text
    for no key update
), confirmed as (
    -- Notes that the owner confirmed the phone.
    update phone_links l set linking = 'confirmed'
    from queue
    where l.instance_id = queue.instance_id
        and l.linking in ('confirmed', 'held') and l.unlinked_at is null
    returning l.instance_id
), moving as (
    -- Ends the hold. A node of the release before may have named another reason for it.
    update instance_lines n set hold_until = null, hold_reason = null, hold_kind = null, idle = false
    from confirmed
    where n.instance_id = confirmed.instance_id
        and (n.hold_kind = 'linking' or n.hold_until > now() + interval '50 years')
    returning n.instance_id
), woken as (
    -- Wakes the worker on its node.
    select pg_notify('node:' || e.node_id, e.instance_id)
    from moving
    join instance_leases e on e.instance_id = moving.instance_id
)
select confirmed.instance_id, (select count(*) from woken) as woken from confirmed;

-- name: list_wrong_phones
-- Instances of this node whose phone is to be logged out, because the link names another number.
select l.instance_id, i.account_id
from phone_links l
join instances i on i.id = l.instance_id
join instance_leases e on e.instance_id = l.instance_id and e.node_id = %(node_id)s::text
where l.linking = 'wrong_phone' and l.unlinked_at is null;
