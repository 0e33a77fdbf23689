-- Appends callbacks to the delivery queues of their chats, in the caller's transaction, and returns
-- how many it appended. Each goes to the webhook of its type, and to the further webhooks of the
-- instance that get its type; with a webhook id only there, under its id as it is. Zeros are the
-- webhook of the type. It leaves out a callback that no webhook gets.
-- The arrays have the same length; a callback is one position in all of them. webhook_ids may be null.
-- A queue becomes due by the clock of this moment, not by the time at which the transaction began. That may
-- be before a claim of a node of the release before, which reads with the snapshot of its begin: if another
-- node claimed and finished the queue after that snapshot, the claim would take it again, and post callbacks
-- again that are deleted.
-- In plpgsql, which keeps the plans of its statements. Few instances have further webhooks, so those
-- have a statement of their own. Delivery queues are locked in this order everywhere: those of the
-- webhooks of types first, each kind in the order of its key.
-- Aliases: c callback, f further webhook, i instance, w delivery queue of a chat, l locked delivery queue.
create or replace function append_callbacks_v2(
    instance_ids text[], chats text[], types text[], ids uuid[], bodies text[], webhook_ids uuid[]
) returns bigint language plpgsql as $$
#variable_conflict use_column
declare
    own_count bigint;
    further_count bigint := 0;
begin
    with target as (
        -- The callbacks that the webhook of their type gets, numbered within their delivery queue.
        select c.instance_id, c.chat, c.type, c.body, c.id,
               row_number() over (partition by c.instance_id, c.chat order by c.turn) as nth,
               count(*) over (partition by c.instance_id, c.chat) as together
        from unnest(instance_ids, chats, types, ids, bodies, webhook_ids) with ordinality
            as c (instance_id, chat, type, id, body, webhook_id, turn)
        join instances i on i.id = c.instance_id
        where callback_url_v2(i, c.type) is not null
            and coalesce(c.webhook_id, '00000000-0000-0000-0000-000000000000')
                = '00000000-0000-0000-0000-000000000000'
    ), chat_queue as (
        -- Locks each chat's delivery queue, or creates it, and reserves positions at its end.
        insert into webhook_lines as w (instance_id, chat, pending, next_position, due_at)
        select instance_id, chat, count(*), 1 + count(*), clock_timestamp()
        from target
        group by instance_id, chat
        order by instance_id, chat
        on conflict (instance_id, chat) do update
        set pending = w.pending + excluded.pending,
            next_position = w.next_position + excluded.pending,
            due_at = coalesce(w.due_at, clock_timestamp())
        returning w.instance_id, w.chat, w.next_position
    ), appended as (
        -- Writes the callbacks at the reserved positions.
        insert into webhook_outbox (instance_id, chat, position, id, type, body)
        select c.instance_id, c.chat, l.next_position - 1 - c.together + c.nth, c.id, c.type, c.body
        from target c
        join chat_queue l on l.instance_id = c.instance_id and l.chat = c.chat
        returning 1
    )
    select count(*) into own_count from appended;
    if exists (select from webhooks f where f.instance_id = any(instance_ids) and f.enabled) then
        with target as (
            -- Each callback once for each further webhook that gets it, numbered within its delivery queue.
            select c.instance_id, f.id as webhook_id, c.chat, c.type, c.body,
                   case
                       when c.webhook_id is null then further_callback_id_v1(f.id, c.id)
                       else c.id
                   end as id,
                   row_number() over (partition by f.id, c.chat order by c.turn) as nth,
                   count(*) over (partition by f.id, c.chat) as together
            from unnest(instance_ids, chats, types, ids, bodies, webhook_ids) with ordinality
                as c (instance_id, chat, type, id, body, webhook_id, turn)
            join webhooks f
                on f.instance_id = c.instance_id and f.enabled and (f.types is null or c.type = any(f.types))
            where c.webhook_id is null or c.webhook_id = f.id
        ), chat_queue as (
            -- Locks each chat's delivery queue, or creates it, and reserves positions at its end.
            insert into further_delivery_queues as w (
                webhook_id, instance_id, chat, pending, next_position, due_at
            )
            select webhook_id, instance_id, chat, count(*), 1 + count(*), clock_timestamp()
            from target
            group by webhook_id, instance_id, chat
            order by webhook_id, chat
            on conflict (webhook_id, chat) do update
            set pending = w.pending + excluded.pending,
                next_position = w.next_position + excluded.pending,
                due_at = coalesce(w.due_at, clock_timestamp())
            returning w.webhook_id, w.chat, w.next_position
        ), appended as (
            -- Writes the callbacks at the reserved positions.
            insert into further_outbox (webhook_id, instance_id, chat, position, id, type, body)
            select c.webhook_id, c.instance_id, c.chat, l.next_position - 1 - c.together + c.nth,
                   c.id, c.type, c.body
            from target c
            join chat_queue l on l.webhook_id = c.webhook_id and l.chat = c.chat
            returning 1
        )
        select count(*) into further_count from appended;
    end if;
    return own_count + further_count;
end
$$;
