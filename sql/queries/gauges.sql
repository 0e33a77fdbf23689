-- Aliases: c connection, i instance, l queue of an instance, p message in flight, q queued message.

-- name: count_waiting
-- The instance is '' unless `by_instance` asks for it: it costs a row of each queue that waits.
select priority, case when %(by_instance)s::boolean then instance_id else '' end as instance_id,
       count(*) as waiting
from message_queue
where status <> 'failed'
group by 1, 2;

-- name: read_totals
select
    (select count(*) from message_queue where status = 'failed') as dead_letters,
    (select extract(epoch from now() - min(due_at)) from message_queue where status = 'pending')::double precision
        as oldest_seconds,
    (select coalesce(sum(pending), 0) from delivery_queues where due_at is not null)::bigint as outbox,
    -- A callback that waits for a receiver which does not answer does not count as late.
    (
        select extract(epoch from now() - min(due_at))
        from delivery_queues
        where due_at is not null and address is null
    )::double precision as outbox_lag_seconds,
    (select count(*) from webhook_dead_letters) as webhook_dead_letters;

-- name: count_sessions
select coalesce(c.state, 'connecting') as state, count(*) as instances
from instances i
left join instance_connections c on c.instance_id = i.id
where i.wanted
group by 1;

-- name: list_stuck_heads
-- Returns queues that could move and do not. First part: the head is due, and no message of the
-- queue is being sent. Second part: a message was claimed longer ago than two minutes and the
-- maximum pause, and its attempt has not started.
select l.instance_id, head.id
from instance_lines l
cross join lateral (
    select q.id, q.due_at from message_queue q
    where q.instance_id = l.instance_id and q.status = 'pending' and q.priority = 1
    order by q.position
    limit 1
) head
where l.connected and not l.paused and (l.hold_until is null or l.hold_until <= now())
    and head.due_at <= now()
    and not exists (
        select 1 from message_queue p where p.instance_id = l.instance_id and p.status = 'processing'
    )
union all
select q.instance_id, q.id
from message_queue q
join instance_lines l
    on l.instance_id = q.instance_id and l.connected and not l.paused
    and (l.hold_until is null or l.hold_until <= now())
join instances i on i.id = q.instance_id
where q.status = 'processing' and q.attempt_started_at is null
    and q.claimed_at < now() - interval '2 minutes' - make_interval(
        secs => coalesce(i.pace_max_seconds, %(pace_max_seconds)s::double precision)
    )
limit 100;
