-- Accepts or refuses messages, in one round trip, and returns the result of each.
--
-- The first statement locks the queues. The second one decides, and its snapshot shows what other
-- transactions committed before the lock. The lock is held to the commit, so that the order of
-- commits is the order of sequence numbers.
--
-- A queue that another transaction has locked is skipped, so that it does not delay the others. No
-- row comes back for its messages, and the caller sends them again with the next flush. No row comes
-- back for an abandoned flush either: the caller that abandons a flush notes that first and then
-- waits for the locks of its queues.
--
-- One plain message for a connected queue with capacity, which is what comes at most loads, has
-- small statements of its own: to start the large one takes longer than they do. Whatever is not plain
-- goes the way of many.
--
-- The arrays have the same length; a message is one position in all of them. `admission` is one of
-- accepted, replayed (the idempotency key came before with this body), key_reused (it came with
-- another body), not_connected (the instance refuses messages while disconnected) and queue_full.
-- `queue_limit` is how many messages may wait, 0 for any number; `wakes_worker` says that a worker
-- may be asleep; `holder_node_id` is the node that holds the lease, or null.
--
-- A message expires at the earliest of three times: `expires_at`, `expires_in` seconds from now, and
-- `max_age_seconds` after it is due. Nulls do not count.
--
-- Aliases: a abandoned flush, c numbered message, d decided message, e lease, k idempotency key,
-- l queue of an instance, n count of one queue, q queued message, r request, s result,
-- w queue to wake.
create or replace function enqueue_messages_v2(
    flush_id uuid, node_id text, ordinals int[], instance_ids text[], zaap_ids text[], message_ids text[],
    types text[], versions smallint[], phones text[], payloads jsonb[], priorities smallint[],
    due_ats timestamptz[], expires_ats timestamptz[], expires_ins double precision[],
    refuse_disconnected boolean[], idempotency_keys text[],
    body_hashes bytea[], max_waiting int, max_waiting_disconnected int, max_attempts smallint,
    max_age_seconds double precision
)
returns table (
    ordinal int, admission text, connected boolean, queue_limit int, zaap_id text, message_id text,
    wakes_worker boolean, holder_node_id text
)
language plpgsql as $$
#variable_conflict use_column
declare
    locked text[];
    line record;
    holder text;
begin
    if cardinality(ordinals) = 1 and idempotency_keys[1] is null and due_ats[1] is null then
        select l.next_sequence, l.connected, l.idle into line
        from instance_lines l
        where l.instance_id = enqueue_messages_v2.instance_ids[1]
        for no key update skip locked;
        if not found then
            return;
        end if;
        if line.connected
            and (
                enqueue_messages_v2.max_waiting = 0
                or line.next_sequence - coalesce((
                    select q.sequence_number
                    from message_queue q
                    where q.instance_id = enqueue_messages_v2.instance_ids[1] and q.status <> 'failed'
                    order by q.sequence_number
                    limit 1
                ), line.next_sequence) < enqueue_messages_v2.max_waiting
            )
            and not exists (select from abandoned_flushes a where a.id = flush_id)
        then
            insert into message_queue (
                instance_id, zaap_id, message_id, type, version, phone, payload, priority, max_attempts,
                sequence_number, position, status, due_at, expires_at
            )
            values (
                instance_ids[1], zaap_ids[1], message_ids[1], types[1], versions[1], phones[1], payloads[1],
                priorities[1], enqueue_messages_v2.max_attempts, line.next_sequence, line.next_sequence,
                'pending', now(),
                least(
                    expires_ats[1], now() + make_interval(secs => expires_ins[1]),
                    now() + make_interval(secs => enqueue_messages_v2.max_age_seconds)
                )
            );
            update instance_lines l
            set next_sequence = l.next_sequence + 1, idle = false
            where l.instance_id = enqueue_messages_v2.instance_ids[1];
            select e.node_id into holder
            from instance_leases e
            where e.instance_id = enqueue_messages_v2.instance_ids[1];
            if line.idle and holder <> enqueue_messages_v2.node_id then
                perform pg_notify('node:' || holder, enqueue_messages_v2.instance_ids[1]);
            end if;
            return query
            select ordinals[1], 'accepted', true, enqueue_messages_v2.max_waiting, zaap_ids[1],
                   message_ids[1], line.idle, holder;
            return;
        end if;
    end if;
    locked := array(
        select l.instance_id
        from instance_lines l
        where l.instance_id = any(enqueue_messages_v2.instance_ids)
        order by l.instance_id
        for no key update skip locked
    );
    return query
    with request as (
        -- The messages as rows; none if the flush was abandoned.
        select *
        from unnest(
            ordinals, instance_ids, zaap_ids, message_ids, types, versions, phones, payloads,
            priorities, due_ats, expires_ats, expires_ins, refuse_disconnected, idempotency_keys,
            body_hashes
        ) as r (
            ordinal, instance_id, zaap_id, message_id, type, version, phone, payload,
            priority, due_at, expires_at, expires_in, refuse_disconnected, idempotency_key,
            body_hash
        )
        where not exists (select from abandoned_flushes a where a.id = flush_id)
    ), queue as (
        -- The locked queues, with an upper bound of how many messages wait, which costs one index lookup.
        select l.instance_id, l.next_sequence, l.connected, l.idle,
               case
                   when l.connected then enqueue_messages_v2.max_waiting
                   else enqueue_messages_v2.max_waiting_disconnected
               end as queue_limit,
               l.next_sequence - coalesce((
                   select q.sequence_number
                   from message_queue q
                   where q.instance_id = l.instance_id and q.status <> 'failed'
                   order by q.sequence_number
                   limit 1
               ), l.next_sequence) as span,
               (select count(*) from request r where r.instance_id = l.instance_id) as requested
        from instance_lines l
        where l.instance_id = any(locked)
    ), queue_with_capacity as (
        -- How many messages each queue may still take; rows are counted only if the bound is too high.
        select l.*,
               case
                   when l.queue_limit = 0 then 2147483647
                   when l.span + l.requested <= l.queue_limit then l.queue_limit - l.span
                   else l.queue_limit - (
                       select count(*)
                       from (
                           select 1
                           from message_queue q
                           where q.instance_id = l.instance_id and q.status <> 'failed'
                           limit l.queue_limit
                       ) waiting
                   )
               end as capacity
        from queue l
    ), decided as (
        -- The decision about each message as if every queue had capacity.
        select r.*, l.next_sequence, l.connected, l.idle, l.queue_limit, l.capacity,
               k.zaap_id as first_zaap_id, k.message_id as first_message_id,
               case
                   when k.body_hash = r.body_hash then 'replayed'
                   when k.body_hash is not null then 'key_reused'
                   when r.refuse_disconnected and not l.connected then 'not_connected'
                   else 'accepted'
               end as decision
        from request r
        join queue_with_capacity l on l.instance_id = r.instance_id
        left join idempotency_keys k
            on k.instance_id = r.instance_id and k.key = r.idempotency_key
            and k.created_at > now() - interval '24 hours'
    ), numbered as (
        -- Numbers the acceptable messages of each queue.
        select d.*,
               count(*) filter (where decision = 'accepted') over (
                   partition by instance_id order by ordinal
               ) as nth
        from decided d
    ), result as (
        -- The final result: messages beyond the capacity of their queue are refused.
        select c.*,
               case when decision = 'accepted' and nth > capacity then 'queue_full' else decision end as admission,
               next_sequence + nth - 1 as sequence_number
        from numbered c
    ), added as (
        -- Writes the accepted messages.
        insert into message_queue (
            instance_id, zaap_id, message_id, type, version, phone, payload, priority, max_attempts,
            sequence_number, position, status, due_at, expires_at
        )
        select instance_id, zaap_id, message_id, type, version, phone, payload, priority,
               enqueue_messages_v2.max_attempts, sequence_number, sequence_number,
               case when due_at > now() then 'scheduled' else 'pending' end, coalesce(due_at, now()),
               least(
                   expires_at, now() + make_interval(secs => expires_in),
                   coalesce(due_at, now()) + make_interval(secs => enqueue_messages_v2.max_age_seconds)
               )
        from result
        where admission = 'accepted'
        order by instance_id, sequence_number
    ), keyed as (
        -- Stores their idempotency keys.
        insert into idempotency_keys as k (instance_id, key, body_hash, zaap_id, message_id)
        select instance_id, idempotency_key, body_hash, zaap_id, message_id
        from result
        where admission = 'accepted' and idempotency_key is not null
        on conflict (instance_id, key) do update
        set body_hash = excluded.body_hash, zaap_id = excluded.zaap_id,
            message_id = excluded.message_id, created_at = now()
    ), advanced as (
        -- Moves the sequence of each queue past them.
        update instance_lines l
        set next_sequence = l.next_sequence + n.rows, idle = false
        from (
            select instance_id, count(*) as rows from result where admission = 'accepted' group by instance_id
        ) n
        where l.instance_id = n.instance_id
    ), woken as materialized (
        -- Wakes sleeping workers of other nodes only: a NOTIFY in every commit would halve the rate of
        -- commits. 200 ids fit into the 8,000 bytes of one notification.
        select count(pg_notify('node:' || other.node_id, other.instance_ids)) as nodes
        from (
            select w.node_id, string_agg(w.instance_id, ',') as instance_ids
            from (
                select e.node_id, s.instance_id,
                       row_number() over (partition by e.node_id order by s.instance_id) / 200 as note
                from result s
                join instance_leases e on e.instance_id = s.instance_id
                where s.admission = 'accepted' and (s.idle or s.due_at is not null)
                    and e.node_id <> enqueue_messages_v2.node_id
                group by e.node_id, s.instance_id
            ) w
            group by w.node_id, w.note
        ) other
    )
    select s.ordinal, s.admission, s.connected, s.queue_limit,
           case when s.admission = 'replayed' then s.first_zaap_id else s.zaap_id end as zaap_id,
           case when s.admission = 'replayed' then s.first_message_id else s.message_id end as message_id,
           s.admission = 'accepted' and (s.idle or s.due_at is not null) as wakes_worker,
           e.node_id as holder_node_id
    from result s
    left join instance_leases e on e.instance_id = s.instance_id
    where (select nodes from woken) is not null;
end
$$;
