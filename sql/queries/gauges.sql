-- Aliases: c connection, i instance, l queue of an instance, p message in flight, q queued message.

-- name: backlog
select priority, count(*) as waiting
from message_queue
where status <> 'failed'
group by priority;

-- name: totals
select
    (select count(*) from message_queue where status = 'failed') as dead_letters,
    (select extract(epoch from now() - min(due_at)) from message_queue where status = 'pending')::double precision
        as oldest_seconds,
    (select coalesce(sum(pending), 0) from webhook_lines where due_at is not null)::bigint as outbox,
    -- What waits for a receiver that does not answer is not late.
    (
        select extract(epoch from now() - min(due_at))
        from webhook_lines
        where due_at is not null and address is null
    )::double precision as outbox_lag_seconds,
    (select count(*) from webhook_dead_letters) as webhook_dead_letters;

-- name: sessions
select coalesce(c.state, 'connecting') as state, count(*) as instances
from instances i
left join instance_connections c on c.instance_id = i.id
where i.wanted
group by 1;

-- name: stuck_heads
-- Due heads of lines that could move and on which nothing is under way.
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
limit 100;
