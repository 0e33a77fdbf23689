-- Accepting takes one round trip: the lock, the judgement and the insert. (compatible with: 0001)

-- Flushes whose answer was lost, and whose requests were looked up: a statement that is still on
-- its way must change nothing when it arrives.
create table abandoned_flushes (
    id uuid primary key,
    at timestamptz not null default now()
);

-- Locks the lines first, then judges in a second statement, whose snapshot shows what others
-- committed before. Commit order becomes sequence order because the lock is held to the commit.
-- A line that somebody else has locked is passed over: it never delays the others, and its
-- requests, for which no row comes back, join the next flush. Nor does one for an abandoned flush:
-- whoever abandons it waits for the lines after having said so.
create function enqueue(
    flush_id uuid, node_id text, ordinals int[], instance_ids text[], zaap_ids text[], message_ids text[],
    types text[], versions smallint[], phones text[], payloads jsonb[], priorities smallint[],
    due_ats timestamptz[], refuse_disconnected boolean[], idempotency_keys text[],
    body_hashes bytea[], max_waiting int, max_waiting_disconnected int, max_attempts smallint,
    max_age_seconds double precision
)
returns table (
    ordinal int, verdict text, connected boolean, most int, zaap_id text, message_id text,
    wakes boolean, holder text
)
language plpgsql as $$
#variable_conflict use_column
declare
    locked text[];
begin
    locked := array(
        select l.instance_id
        from instance_lines l
        where l.instance_id = any(enqueue.instance_ids)
        order by l.instance_id
        for no key update skip locked
    );
    return query
    with request as (
        select *
        from unnest(
            ordinals, instance_ids, zaap_ids, message_ids, types, versions, phones, payloads,
            priorities, due_ats, refuse_disconnected, idempotency_keys, body_hashes
        ) as r (
            ordinal, instance_id, zaap_id, message_id, type, version, phone, payload,
            priority, due_at, refuse_disconnected, idempotency_key, body_hash
        )
        where not exists (select from abandoned_flushes a where a.id = flush_id)
    ), line as (
        select l.instance_id, l.next_sequence, l.connected, l.idle,
               case when l.connected then enqueue.max_waiting else enqueue.max_waiting_disconnected end as most,
               -- An upper bound of what waits, at the price of one look at the index.
               l.next_sequence - coalesce((
                   select q.sequence_number
                   from message_queue q
                   where q.instance_id = l.instance_id and q.status <> 'failed'
                   order by q.sequence_number
                   limit 1
               ), l.next_sequence) as span,
               (select count(*) from request r where r.instance_id = l.instance_id) as asked
        from instance_lines l
        where l.instance_id = any(locked)
    ), roomy as (
        select l.*,
               case
                   when l.most = 0 then 2147483647
                   when l.span + l.asked <= l.most then l.most - l.span
                   else l.most - (
                       select count(*)
                       from (
                           select 1
                           from message_queue q
                           where q.instance_id = l.instance_id and q.status <> 'failed'
                           limit l.most
                       ) waiting
                   )
               end as room
        from line l
    ), judged as (
        select r.*, l.next_sequence, l.connected, l.idle, l.most, l.room,
               k.zaap_id as first_zaap_id, k.message_id as first_message_id,
               case
                   when k.body_hash = r.body_hash then 'replayed'
                   when k.body_hash is not null then 'key_reused'
                   when r.refuse_disconnected and not l.connected then 'not_connected'
                   else 'new'
               end as verdict
        from request r
        join roomy l on l.instance_id = r.instance_id
        left join idempotency_keys k
            on k.instance_id = r.instance_id and k.key = r.idempotency_key
            and k.created_at > now() - interval '24 hours'
    ), counted as (
        select j.*,
               count(*) filter (where verdict = 'new') over (
                   partition by instance_id order by ordinal
               ) as nth
        from judged j
    ), settled as (
        select c.*,
               case when verdict = 'new' and nth > room then 'full' else verdict end as final,
               next_sequence + nth - 1 as sequence_number
        from counted c
    ), added as (
        insert into message_queue (
            instance_id, zaap_id, message_id, type, version, phone, payload, priority, max_attempts,
            sequence_number, position, status, due_at, expires_at
        )
        select instance_id, zaap_id, message_id, type, version, phone, payload, priority,
               enqueue.max_attempts, sequence_number, sequence_number,
               case when due_at > now() then 'scheduled' else 'pending' end, coalesce(due_at, now()),
               coalesce(due_at, now()) + make_interval(secs => enqueue.max_age_seconds)
        from settled
        where final = 'new'
        order by instance_id, sequence_number
    ), keyed as (
        insert into idempotency_keys as k (instance_id, key, body_hash, zaap_id, message_id)
        select instance_id, idempotency_key, body_hash, zaap_id, message_id
        from settled
        where final = 'new' and idempotency_key is not null
        on conflict (instance_id, key) do update
        set body_hash = excluded.body_hash, zaap_id = excluded.zaap_id,
            message_id = excluded.message_id, created_at = now()
    ), moved as (
        update instance_lines l
        set next_sequence = l.next_sequence + n.rows, idle = false
        from (
            select instance_id, count(*) as rows from settled where final = 'new' group by instance_id
        ) n
        where l.instance_id = n.instance_id
    ), woken as materialized (
        -- A NOTIFY in every commit would halve their rate: only where a worker of another node sleeps.
        -- 200 ids fit into the 8,000 bytes of one.
        select count(pg_notify('node:' || other.node_id, other.instance_ids)) as nodes
        from (
            select w.node_id, string_agg(w.instance_id, ',') as instance_ids
            from (
                select e.node_id, s.instance_id,
                       row_number() over (partition by e.node_id order by s.instance_id) / 200 as note
                from settled s
                join instance_leases e on e.instance_id = s.instance_id
                where s.final = 'new' and (s.idle or s.due_at is not null)
                    and e.node_id <> enqueue.node_id
                group by e.node_id, s.instance_id
            ) w
            group by w.node_id, w.note
        ) other
    )
    select s.ordinal, s.final as verdict, s.connected, s.most,
           case when s.final = 'replayed' then s.first_zaap_id else s.zaap_id end as zaap_id,
           case when s.final = 'replayed' then s.first_message_id else s.message_id end as message_id,
           s.final = 'new' and (s.idle or s.due_at is not null) as wakes, e.node_id as holder
    from settled s
    left join instance_leases e on e.instance_id = s.instance_id
    where (select nodes from woken) is not null;
end
$$;
