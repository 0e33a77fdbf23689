-- name: join_nodes
insert into nodes (id, internal_address, expires_at)
values (%(node_id)s::text, %(internal_address)s::text, now() + make_interval(secs => %(seconds)s::double precision))
on conflict (id) do update
set internal_address = excluded.internal_address, started_at = now(), expires_at = excluded.expires_at;

-- name: renew_node
update nodes set expires_at = now() + make_interval(secs => %(seconds)s::double precision)
where id = %(node_id)s::text;

-- name: leave_nodes
-- The sessions are closed: others may take the leases at once.
with line as materialized (
    select n.instance_id
    from instance_lines n
    join instance_leases l on l.instance_id = n.instance_id and l.node_id = %(node_id)s::text
    order by n.instance_id
    for no key update of n
), down as (
    update instance_lines n set connected = false from line where n.instance_id = line.instance_id
)
delete from nodes where id = %(node_id)s::text;

-- name: take_leases
-- Leases that nobody holds: never taken, left behind by a lapsed node, or, at our start, by
-- ourselves in an earlier life. The epoch grows with every change of hands.
with free as (
    select i.id
    from instances i
    left join instance_leases l on l.instance_id = i.id
    where i.wanted
        and (
            l.instance_id is null
            or %(restarted)s::boolean and l.node_id = %(node_id)s::text
            or not exists (select 1 from nodes n where n.id = l.node_id and n.expires_at > now())
        )
    order by i.id
    limit %(most)s::int
    for share of i skip locked  -- one that is being deleted is passed over
), taken as (
    insert into instance_leases as l (instance_id, node_id, epoch)
    select id, %(node_id)s::text, 1 from free
    on conflict (instance_id) do update
    set node_id = excluded.node_id, epoch = l.epoch + 1, taken_at = now()
    where l.node_id = excluded.node_id
        or not exists (select 1 from nodes n where n.id = l.node_id and n.expires_at > now())
    returning l.instance_id, l.epoch
), line as materialized (
    select n.instance_id
    from instance_lines n
    where n.instance_id in (select instance_id from taken)
    order by n.instance_id
    for no key update
), down as (
    update instance_lines n set connected = false, idle = false
    from line
    where n.instance_id = line.instance_id
)
select instance_id, epoch from taken;

-- name: held_leases
select instance_id, epoch from instance_leases where node_id = %(node_id)s::text;

-- name: note_connection
-- Only the holder of the lease may say so. The line follows the session, and the caller is told
-- when it comes up or goes down, not of what lies between.
with held as (
    select instance_id from instance_leases
    where instance_id = %(instance_id)s::text and epoch = %(epoch)s::bigint
    for share
), before as (
    select coalesce(
        (select state = 'connected' from instance_connections where instance_id = %(instance_id)s::text), false
    ) as connected
), noted as (
    insert into instance_connections as c (instance_id, state, phone, reason, changed_at)
    select instance_id, %(state)s::text, %(phone)s::text, %(reason)s::text, %(at)s::timestamptz
    from held
    on conflict (instance_id) do update
    set state = excluded.state, phone = coalesce(excluded.phone, c.phone), reason = excluded.reason,
        changed_at = excluded.changed_at
), followed as (
    update instance_lines n
    set connected = %(state)s::text = 'connected', idle = false
    from held
    where n.instance_id = held.instance_id
)
select tell(
    array_agg(held.instance_id), array_agg(%(chat)s::text), array_agg(%(type)s::text),
    array_agg(%(callback_id)s::uuid), array_agg(%(callback)s::text)
)
from held, before
where before.connected <> (%(state)s::text = 'connected');
