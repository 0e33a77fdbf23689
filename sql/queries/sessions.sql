-- Aliases: b earlier process of a name, c connection, h live node with its leases, i instance, j joined node, l lease,
-- n node (in statements on queues: queue of an instance), r ranked node, w number of wanted instances.

-- name: join_nodes
-- No row comes back where another process lives under this name and is not to be replaced.
-- `before` is the row of that other process, or of an earlier life, which may act until it lapses.
with before as materialized (
    -- Locks the row that an earlier process of this name left, and how long its lease still runs.
    select life, greatest(extract(epoch from expires_at - now()), 0) as seconds
    from nodes
    where id = %(node_id)s::text
    for update
), joined as (
    -- Makes this process the node of that name.
    insert into nodes (id, internal_address, life, expires_at)
    select %(node_id)s::text, %(internal_address)s::text, %(life)s::uuid,
           now() + make_interval(secs => %(seconds)s::double precision)
    from (select count(*) from before) as first_of_all
    on conflict (id) do update
    set internal_address = excluded.internal_address, life = excluded.life, started_at = now(),
        expires_at = excluded.expires_at
    where %(replace)s::boolean or nodes.life = excluded.life or nodes.expires_at <= now()
    returning extract(epoch from now())::double precision as database_seconds
)
select j.database_seconds, b.life as previous_life,
       coalesce(b.seconds, 0)::double precision as previous_seconds
from joined j
left join before b on true;

-- name: forget_nodes
-- Names that nobody uses any more, as those of containers; their leases went to others.
delete from nodes where expires_at < now() - interval '1 day';

-- name: retake_leases
-- What this name still holds of an earlier life; the new epoch ends everything of that life.
with taken as (
    -- Gives every lease of this name a new epoch.
    update instance_leases set epoch = epoch + 1, taken_at = now()
    where node_id = %(node_id)s::text
    returning instance_id
), line as materialized (
    -- Locks the queues of those instances.
    select n.instance_id
    from instance_lines n
    where n.instance_id in (select instance_id from taken)
    order by n.instance_id
    for no key update
)
update instance_lines n set connected = false, idle = false
from line
where n.instance_id = line.instance_id;

-- name: renew_node
-- One small write for everything a node holds. No row: it lapsed, or another life began.
update nodes set expires_at = now() + make_interval(secs => %(seconds)s::double precision)
where id = %(node_id)s::text and life = %(life)s::uuid and expires_at > now()
returning extract(epoch from now())::double precision as database_seconds;

-- name: leave_nodes
-- The sessions are closed: others may take the leases at once.
with line as materialized (
    -- Locks the queues of the instances that this life of the node holds.
    select n.instance_id
    from instance_lines n
    join instance_leases l on l.instance_id = n.instance_id and l.node_id = %(node_id)s::text
    where exists (select 1 from nodes where id = %(node_id)s::text and life = %(life)s::uuid)
    order by n.instance_id
    for no key update of n
), down as (
    -- Notes that their sessions are closed.
    update instance_lines n set connected = false from line where n.instance_id = line.instance_id
), gone as (
    -- Removes the node; leases of a node that does not exist are free.
    delete from nodes where id = %(node_id)s::text and life = %(life)s::uuid
)
select pg_notify('leases', '');

-- name: standing
-- What this node holds and what is its share. Every node computes the same: those that hold most
-- keep most, so that no lease changes hands without need. And when the next may lapse.
with held as materialized (
    -- How many leases each live node holds.
    select n.id, n.expires_at, count(l.instance_id) as leases
    from nodes n
    left join instance_leases l on l.node_id = n.id
    where n.expires_at > now()
    group by n.id
), wanted as (
    -- How many instances want a session.
    select count(*) as instances from instances where wanted
), ranked as (
    -- The nodes by number of leases; the first ones get the remainder of the division.
    select id, leases, row_number() over (order by leases desc, id) as rank, count(*) over () as nodes
    from held
)
select r.leases as held,
       w.instances / r.nodes + (r.rank <= mod(w.instances, r.nodes))::int as share,
       (
           select extract(epoch from min(h.expires_at) - now()) from held h where h.id <> r.id
       )::double precision as seconds_until_lapse
from ranked r
cross join wanted w
where r.id = %(node_id)s::text;

-- name: take_leases
-- Leases that nobody holds: never taken, given away, or left behind by a node that lapsed. The
-- epoch grows with every change of hands. Two nodes that take at once pass over each other's.
with free as (
    -- Locks instances whose lease no live node holds.
    select i.id
    from instances i
    left join instance_leases l on l.instance_id = i.id
    where i.wanted
        and (
            l.instance_id is null
            or not exists (select 1 from nodes n where n.id = l.node_id and n.expires_at > now())
        )
    order by i.id
    limit %(max_count)s::int
    for no key update of i skip locked
), taken as (
    -- Takes their leases.
    insert into instance_leases as l (instance_id, node_id, epoch)
    select id, %(node_id)s::text, 1 from free
    on conflict (instance_id) do update
    set node_id = excluded.node_id, epoch = l.epoch + 1, taken_at = now()
    where not exists (select 1 from nodes n where n.id = l.node_id and n.expires_at > now())
    returning l.instance_id, l.epoch
), line as materialized (
    -- Locks their queues.
    select n.instance_id
    from instance_lines n
    where n.instance_id in (select instance_id from taken)
    order by n.instance_id
    for no key update
), down as (
    -- Notes that their sessions are not open yet.
    update instance_lines n set connected = false, idle = false
    from line
    where n.instance_id = line.instance_id
)
select instance_id, epoch from taken;

-- name: give_lease
-- The session is closed: whoever has room may take it at once.
with given as (
    -- Frees the lease.
    update instance_leases set node_id = null
    where instance_id = %(instance_id)s::text and node_id = %(node_id)s::text
        and epoch = %(epoch)s::bigint
    returning instance_id
), down as (
    -- Notes that the session is closed.
    update instance_lines n set connected = false from given where n.instance_id = given.instance_id
)
select pg_notify('leases', '') from given;

-- name: held_leases
select instance_id, epoch from instance_leases where node_id = %(node_id)s::text;

-- name: find_holder
select l.node_id, l.epoch, n.internal_address,
       extract(epoch from now())::double precision as database_seconds
from instance_leases l
join nodes n on n.id = l.node_id and n.expires_at > now()
where l.instance_id = %(instance_id)s::text;

-- name: note_connection
-- Only the holder of the lease may say so. The line follows the session, and the caller is told
-- when it comes up or goes down, not of what lies between.
with held as (
    -- Locks the lease, if this epoch holds it.
    select instance_id from instance_leases
    where instance_id = %(instance_id)s::text and epoch = %(epoch)s::bigint
    for share
), before as (
    -- Whether the session was connected before.
    select coalesce(
        (select state = 'connected' from instance_connections where instance_id = %(instance_id)s::text), false
    ) as connected
), noted as (
    -- Stores the state of the connection.
    insert into instance_connections as c (instance_id, state, phone, reason, changed_at)
    select instance_id, %(state)s::text, %(phone)s::text, %(reason)s::text, %(at)s::timestamptz
    from held
    on conflict (instance_id) do update
    set state = excluded.state, phone = coalesce(excluded.phone, c.phone), reason = excluded.reason,
        changed_at = excluded.changed_at
), followed as (
    -- Lets the queue move, or stops it.
    update instance_lines n
    set connected = %(state)s::text = 'connected', idle = false
    from held
    where n.instance_id = held.instance_id
)
select enqueue_callbacks_v1(
    array_agg(held.instance_id), array_agg(%(chat)s::text), array_agg(%(type)s::text),
    array_agg(%(callback_id)s::uuid), array_agg(%(callback)s::text)
)
from held, before
where before.connected <> (%(state)s::text = 'connected');
