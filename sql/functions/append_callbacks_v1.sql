-- Appends callbacks to the delivery queues of their chats, in the caller's transaction, and returns
-- how many it appended. It leaves out a callback whose instance has no address for its type.
-- The five arrays have the same length; a callback is one position in all of them.
-- Aliases: c callback, i instance, w delivery queue of a chat, l locked delivery queue.
create or replace function append_callbacks_v1(
    instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]
) returns bigint language sql as $$
    with deliverable as (
        -- The callbacks that have an address, numbered within their chat.
        select c.*,
               row_number() over (partition by c.instance_id, c.chat order by c.turn) as nth,
               count(*) over (partition by c.instance_id, c.chat) as together
        from unnest(instance_ids, chats, types, ids, bodies) with ordinality
            as c (instance_id, chat, type, id, body, turn)
        join instances i on i.id = c.instance_id
        where callback_url_v1(i, c.type) is not null
    ), chat_queue as (
        -- Locks each chat's delivery queue, or creates it, and reserves positions at its end.
        insert into webhook_lines as w (instance_id, chat, pending, next_position, due_at)
        select instance_id, chat, count(*), 1 + count(*), now()
        from deliverable
        group by instance_id, chat
        order by instance_id, chat
        on conflict (instance_id, chat) do update
        set pending = w.pending + excluded.pending,
            next_position = w.next_position + excluded.pending,
            due_at = coalesce(w.due_at, now())
        returning w.instance_id, w.chat, w.next_position
    ), appended as (
        -- Writes the callbacks at the reserved positions.
        insert into webhook_outbox (instance_id, chat, position, id, type, body)
        select c.instance_id, c.chat, l.next_position - 1 - c.together + c.nth, c.id, c.type, c.body
        from deliverable c
        join chat_queue l on l.instance_id = c.instance_id and l.chat = c.chat
        returning 1
    )
    select count(*) from appended
$$;
