-- Aliases: c chosen message, e lease, m message, q queued message, s search, w wanted change.

-- name: add_search
-- Begins again if the person was erased before and the search has not ended.
insert into person_searches as s (instance_id, names, sending)
values (
    %(instance_id)s::text, %(names)s::text[],
    exists (
        select from message_queue q
        where q.instance_id = %(instance_id)s::text and q.phone = any(%(names)s::text[])
    )
)
on conflict (instance_id, names) do update
set asked_at = now(), until_at = now(), worked_at = now(), pass_number = 1, position = null,
    changed = 0, canceled = 0, sending = excluded.sending;

-- name: find_search
select instance_id, names, asked_at, until_at, pass_number, position, changed, canceled, sending
from person_searches
where instance_id = %(instance_id)s::text and names = %(names)s::text[];

-- name: list_searches
-- Those of an instance, or only that of the person with one of these names.
select names, asked_at, pass_number, position, changed, canceled
from person_searches
where instance_id = %(instance_id)s::text
    and (%(names)s::text[] is null or names && %(names)s::text[])
order by asked_at, names;

-- name: next_search
-- The search that was left alone for the longest time.
select instance_id, names, asked_at, until_at, pass_number, position, changed, canceled, sending
from person_searches
order by worked_at, instance_id, names
limit 1;

-- name: store_position
-- Writes nothing if the search began again.
update person_searches
set position = %(position)s::jsonb, changed = %(changed)s::bigint, canceled = %(canceled)s::bigint,
    worked_at = now()
where instance_id = %(instance_id)s::text and names = %(names)s::text[]
    and asked_at = %(asked_at)s::timestamptz;

-- name: begin_pass
-- Begins the next pass; one that reopens the search also looks at what was stored meanwhile.
update person_searches
set pass_number = pass_number + 1, position = null, changed = 0, canceled = %(canceled)s::bigint,
    sending = %(sending)s::boolean, worked_at = now(),
    until_at = case when %(reopens)s::boolean then now() else until_at end
where instance_id = %(instance_id)s::text and names = %(names)s::text[]
    and asked_at = %(asked_at)s::timestamptz;

-- name: finish
delete from person_searches
where instance_id = %(instance_id)s::text and names = %(names)s::text[]
    and asked_at = %(asked_at)s::timestamptz;

-- name: count_in_flight
-- Messages that a worker has and that were accepted before the person was erased: history has them soon.
select count(*) as count
from message_queue q
where q.instance_id = %(instance_id)s::text and q.status = 'processing'
    and q.created_at <= %(asked_at)s::timestamptz;

-- name: cancel_cards
-- Cancels waiting messages that hold the person's contact card; history gets the erased content. One
-- that failed keeps its place. If one of them was parked, the worker wakes, because messages of its chat
-- wait behind it.
with failed as (
    -- Erases the card from messages that failed.
    update message_queue q
    set payload = w.payload
    from unnest(%(ids)s::bigint[], %(payloads)s::jsonb[]) as w (id, payload)
    where q.instance_id = %(instance_id)s::text and q.id = w.id and q.status = 'failed'
), chosen as (
    -- Locks the messages whose attempt has not started.
    select q.instance_id, q.id, w.payload
    from unnest(%(ids)s::bigint[], %(payloads)s::jsonb[]) as w (id, payload)
    join message_queue q on q.instance_id = %(instance_id)s::text and q.id = w.id
    where q.status in ('behind', 'parked', 'pending', 'scheduled') and q.created_at <= %(asked_at)s::timestamptz
    for update of q skip locked
), removed as (
    -- Deletes them from the queue.
    delete from message_queue m
    using chosen c
    where m.instance_id = c.instance_id and m.id = c.id
    returning m.*, c.payload as erased_payload
), archived as (
    -- Stores them in history as canceled.
    insert into messages (
        instance_id, message_id, recorded_at, created_at, sequence_number, version, attempts, from_me,
        status, zaap_id, phone, type, payload
    )
    select instance_id, message_id, now(), created_at, sequence_number, version, attempts, true,
           'canceled', zaap_id, phone, type, erased_payload
    from removed
), ids as (
    -- Stores their ids.
    insert into message_ids (instance_id, message_id, recorded_at)
    select instance_id, message_id, now() from removed
    on conflict (instance_id, message_id) do update set recorded_at = excluded.recorded_at
), woken as materialized (
    -- Wakes the worker of the queue.
    select pg_notify('node:' || e.node_id, e.instance_id)
    from instance_leases e
    where e.instance_id in (select instance_id from removed where status = 'parked')
)
select count(*) as count from removed left join woken on true;
