-- Marks those of the queues idle that have no message which could leave, now or later by itself, and
-- returns them. A queue that another transaction has locked stays as it is: its worker claims, as after
-- every message.
--
-- The first statement looks, which costs less than a lock. The second locks. The third has a snapshot of
-- its own, which shows every message that was accepted before the lock; a later enqueue finds the mark
-- and wakes the worker. Nothing waits here, so the caller may have other locks.
--
-- A subquery for each queue and state: each is one index lookup, and no plan can join the whole queue.
--
-- Aliases: e queue to look at, l queue, q queued message.
create or replace function mark_empty_queues_idle_v1(instance_ids text[]) returns setof text
language plpgsql as $$
#variable_conflict use_column
declare
    empty text[];
begin
    empty := array(
        select e.id
        from unnest(mark_empty_queues_idle_v1.instance_ids) as e (id)
        where (
            select q.id from message_queue q
            where q.instance_id = e.id and q.status = 'pending'
            order by q.priority, q.position
            limit 1
        ) is null
    );
    if empty = '{}' then
        return;
    end if;
    empty := array(
        select l.instance_id
        from instance_lines l
        where l.instance_id = any(empty)
        order by l.instance_id
        for no key update skip locked
    );
    return query
    update instance_lines l set idle = true
    where l.instance_id = any(empty)
        and (
            select q.id from message_queue q
            where q.instance_id = l.instance_id and q.status = 'pending'
            order by q.priority, q.position
            limit 1
        ) is null
        and (
            select q.id from message_queue q
            where q.instance_id = l.instance_id and q.status = 'parked'
            order by q.phone
            limit 1
        ) is null
        and (
            select q.id from message_queue q
            where q.instance_id = l.instance_id and q.status = 'behind'
            order by q.phone
            limit 1
        ) is null
        and (
            select q.id from message_queue q
            where q.instance_id = l.instance_id and q.status = 'processing'
        ) is null
    returning l.instance_id;
end
$$;
