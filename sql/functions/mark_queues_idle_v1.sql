-- Marks queues idle: their workers wait for a wake-up. Returns for each the seconds until its head is due;
-- null if it is empty, paused or disconnected. A head that expires before it is due counts as due then:
-- the worker fails it, and the queue goes on.
--
-- The first statement locks the queues. The second has a snapshot of its own, which shows every message
-- that was accepted before the lock; a later enqueue finds the mark and wakes the worker. So the worker
-- needs no claim after this one unless a head is due.
--
-- Aliases: a parked message, h head of a lane, l queue, q head of a lane.
create or replace function mark_queues_idle_v1(instance_ids text[])
returns table (instance_id text, seconds_until_due double precision)
language plpgsql as $$
#variable_conflict use_column
begin
    perform from instance_lines l
    where l.instance_id = any(mark_queues_idle_v1.instance_ids)
    order by l.instance_id
    for no key update;
    update instance_lines l set idle = true
    where l.instance_id = any(mark_queues_idle_v1.instance_ids) and not l.idle;
    return query
    select l.instance_id,
           case
               when l.connected and not l.paused
               then extract(epoch from greatest(l.hold_until, min(head.due_at)) - now())
           end::double precision
    from instance_lines l
    left join lateral (
        select q.due_at
        from (values (0), (1), (2)) as lane (priority)
        cross join lateral (
            select least(h.due_at, h.expires_at) as due_at
            from message_queue h
            where h.instance_id = l.instance_id and h.status = 'pending' and h.priority = lane.priority
            order by h.position
            limit 1
        ) q
        union all
        select least(a.due_at, a.expires_at)
        from message_queue a
        where a.instance_id = l.instance_id and a.status = 'parked'
    ) head on true
    where l.instance_id = any(mark_queues_idle_v1.instance_ids)
    group by l.instance_id;
end
$$;
