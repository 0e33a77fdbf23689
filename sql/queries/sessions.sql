-- Aliases: b earlier process of a name, c connection, h live node with its leases, i instance, j joined node, l lease,
-- n node (in statements on queues: queue of an instance), r ranked node, w number of wanted instances.

-- name: find_predecessor
-- The process that has the name of this node and may still act.
select life from nodes where id = %(node_id)s::text and expires_at > now();

-- name: join_nodes
-- Makes this process the node of its name. Returns no row if a process other than `replaced` renews
-- that name. `previous_life` names the process that had the name before, which may act for
-- `previous_seconds` more.
with before as materialized (
    -- Locks the row of the process that had the name; `seconds` until its leases lapse.
    select life, greatest(extract(epoch from expires_at - now()), 0) as seconds
    from nodes
    where id = %(node_id)s::text
    for update
), joined as (
    -- Inserts the node, or replaces the process of the row. Reads `before` first, for its lock.
    insert into nodes (
        id, internal_address, life, signed_life, described_life, connections_life, role, version,
        expires_at, opens_payloads
    )
    select %(node_id)s::text, %(internal_address)s::text, %(life)s::uuid, %(life)s::uuid,
           %(life)s::uuid, %(life)s::uuid, %(role)s::text, %(version)s::text,
           now() + make_interval(secs => %(seconds)s::double precision), true
    from (select count(*) from before) as locked_before
    on conflict (id) do update
    set internal_address = excluded.internal_address, life = excluded.life,
        signed_life = excluded.signed_life, described_life = excluded.described_life,
        connections_life = excluded.connections_life, role = excluded.role, version = excluded.version, started_at = now(),
        expires_at = excluded.expires_at, opens_payloads = true
    where nodes.life = any(array[excluded.life, %(replaced)s::uuid]) or nodes.expires_at <= now()
    returning extract(epoch from now())::double precision as database_seconds
)
select j.database_seconds, b.life as previous_life,
       coalesce(b.seconds, 0)::double precision as previous_seconds
from joined j
left join before b on true;

-- name: delete_expired_nodes
-- Deletes names that are no longer used, such as those of containers. Other nodes have their leases.
delete from nodes where expires_at < now() - interval '1 day';

-- name: reacquire_leases
-- Gives the leases stored under this name a new epoch, so that the process before can change nothing.
with reacquired as (
    -- Raises the epoch of every lease of this name.
    update instance_leases set epoch = epoch + 1, taken_at = now()
    where node_id = %(node_id)s::text
    returning instance_id
), queue as materialized (
    -- Locks the queues of those instances, in the order that every statement uses.
    select n.instance_id
    from instance_lines n
    where n.instance_id in (select instance_id from reacquired)
    order by n.instance_id
    for no key update
)
update instance_lines n set connected = false, idle = false
from queue
where n.instance_id = queue.instance_id;

-- name: renew_node
-- Renews all leases of a node with one small write. Returns no row if they lapsed, or if another
-- process has the node's name.
update nodes set expires_at = now() + make_interval(secs => %(seconds)s::double precision)
where id = %(node_id)s::text and life = %(life)s::uuid and expires_at > now()
returning extract(epoch from now())::double precision as database_seconds;

-- name: leave_nodes
-- Deletes the node once its sessions are closed, and wakes other nodes: its leases are free.
with queue as materialized (
    -- Locks the queues of the instances whose leases this process owns.
    select n.instance_id
    from instance_lines n
    join instance_leases l on l.instance_id = n.instance_id and l.node_id = %(node_id)s::text
    where exists (select 1 from nodes where id = %(node_id)s::text and life = %(life)s::uuid)
    order by n.instance_id
    for no key update of n
), down as (
    -- Stores that their sessions are closed.
    update instance_lines n set connected = false from queue where n.instance_id = queue.instance_id
), deleted as (
    -- Deletes the node. A lease of a node that does not exist is free.
    delete from nodes where id = %(node_id)s::text and life = %(life)s::uuid
)
select pg_notify('leases', '');

-- name: lease_share
-- How many leases this node owns, how many it should own, and when those of another node may lapse.
-- Every node computes the same shares. The nodes that own most get the larger shares, so that no
-- lease changes its owner without need.
with owners as materialized (
    -- How many leases each live node owns.
    select n.id, n.expires_at, count(l.instance_id) as leases
    from nodes n
    left join instance_leases l on l.node_id = n.id
    where n.expires_at > now()
    group by n.id
), wanted as (
    -- How many instances want a session.
    select count(*) as instances from instances where wanted
), ranked as (
    -- The nodes by number of leases. The first ones get the remainder of the division.
    select id, leases, row_number() over (order by leases desc, id) as rank, count(*) over () as nodes
    from owners
)
select r.leases as owned,
       w.instances / r.nodes + (r.rank <= mod(w.instances, r.nodes))::int as share,
       (
           select extract(epoch from min(h.expires_at) - now()) from owners h where h.id <> r.id
       )::double precision as seconds_until_lapse
from ranked r
cross join wanted w
where r.id = %(node_id)s::text;

-- name: acquire_leases
-- Acquires leases that no live node owns: new ones, released ones, and those of nodes that lapsed.
-- Each change of owner raises the epoch. Two nodes that acquire at the same time skip the rows that
-- the other has locked.
with free as (
    -- Locks instances whose lease no live node owns.
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
), acquired as (
    -- Makes this node the owner of their leases.
    insert into instance_leases as l (instance_id, node_id, epoch)
    select id, %(node_id)s::text, 1 from free
    on conflict (instance_id) do update
    set node_id = excluded.node_id, epoch = l.epoch + 1, taken_at = now()
    where not exists (select 1 from nodes n where n.id = l.node_id and n.expires_at > now())
    returning l.instance_id, l.epoch
), queue as materialized (
    -- Locks their queues, in the order that every statement uses.
    select n.instance_id
    from instance_lines n
    where n.instance_id in (select instance_id from acquired)
    order by n.instance_id
    for no key update
), down as (
    -- Stores that their sessions are not open yet.
    update instance_lines n set connected = false, idle = false
    from queue
    where n.instance_id = queue.instance_id
)
select instance_id, epoch from acquired;

-- name: release_lease
-- Releases a lease once its session is closed, and wakes other nodes. Nothing happens if this node
-- no longer owns the lease under this epoch.
with released as (
    -- Frees the lease.
    update instance_leases set node_id = null
    where instance_id = %(instance_id)s::text and node_id = %(node_id)s::text
        and epoch = %(epoch)s::bigint
    returning instance_id
), down as (
    -- Stores that the session is closed.
    update instance_lines n set connected = false from released where n.instance_id = released.instance_id
)
select pg_notify('leases', '') from released;

-- name: owned_leases
select instance_id, epoch from instance_leases where node_id = %(node_id)s::text;

-- name: find_lease_owner
-- Returns no row if no live node owns the lease.
select l.node_id, l.epoch, n.internal_address,
       extract(epoch from now())::double precision as database_seconds,
       n.signed_life is not distinct from n.life as checks_nonces
from instance_leases l
join nodes n on n.id = l.node_id and n.expires_at > now()
where l.instance_id = %(instance_id)s::text;

-- name: earlier_calls_count
-- How many signs there are that a node of an earlier release may still call: live nodes of such a
-- release, and a migration to this release within a day.
select (
           select count(*) from nodes where expires_at > now() and signed_life is distinct from life
       ) + (
           select count(*) from schema_migrations
           where number = 28 and applied_at > now() - interval '1 day'
       ) as count;

-- name: record_connection
-- Stores the state of a session, if its lease still has this epoch. The queue moves only while the
-- session is connected. The callback is enqueued only if the session connected or disconnected.
with leased as (
    -- Locks the lease, if it has this epoch.
    select instance_id from instance_leases
    where instance_id = %(instance_id)s::text and epoch = %(epoch)s::bigint
    for share
), before as (
    -- Whether the session was connected before.
    select coalesce(
        (select state = 'connected' from instance_connections where instance_id = %(instance_id)s::text), false
    ) as connected
), recorded as (
    -- Stores the state of the active connection, and its latest error.
    update instance_connections c
    set state = %(state)s::text, phone = coalesce(%(phone)s::text, c.phone), reason = %(reason)s::text,
        changed_at = %(at)s::timestamptz,
        last_error = coalesce(%(error)s::text, c.last_error),
        last_error_at = case when %(error)s::text is null then c.last_error_at else %(at)s::timestamptz end
    from leased
    where c.instance_id = leased.instance_id
), switched as (
    -- Starts the queue, or stops it.
    update instance_lines n
    set connected = %(state)s::text = 'connected', idle = false
    from leased
    where n.instance_id = leased.instance_id
)
select enqueue_callbacks_v2(
    array_agg(leased.instance_id), array_agg(%(chat)s::text), array_agg(%(type)s::text),
    array_agg(%(callback_id)s::uuid), array_agg(%(callback)s::text)
)
from leased, before
where before.connected <> (%(state)s::text = 'connected');
