-- name: find_known
select m.message_id, coalesce(m.provider_message_id, m.message_id) as provider_message_id,
       m.phone as chat, m.sender, m.from_me, m.type, m.payload, m.provider_data
from message_ids i
join messages m
    on m.instance_id = i.instance_id and m.message_id = i.message_id and m.recorded_at = i.recorded_at
where i.instance_id = %(instance_id)s::text and i.message_id = any(%(message_ids)s::text[])
    and m.status <> 'canceled';

-- name: add_received
-- A provider that repeats itself adds nothing and tells nothing.
with fresh as (
    insert into message_ids (instance_id, message_id, recorded_at)
    values (%(instance_id)s::text, %(message_id)s::text, now())
    on conflict (instance_id, message_id) do nothing
    returning instance_id, message_id, recorded_at
), kept as (
    insert into messages (
        instance_id, message_id, recorded_at, created_at, version, from_me, status, phone, sender,
        type, payload, provider_data
    )
    select instance_id, message_id, recorded_at, %(at)s::timestamptz, 1, %(from_me)s::boolean,
           'received', %(phone)s::text, %(sender)s::text, %(type)s::text, %(payload)s::jsonb,
           %(provider_data)s::bytea
    from fresh
), met as (
    insert into contacts as c (instance_id, phone, notify)
    select instance_id, %(sender)s::text, %(sender_name)s::text
    from fresh
    where %(sender)s::text ~ '^[0-9]+$' and not %(from_me)s::boolean
    on conflict (instance_id, phone) do update
    set notify = excluded.notify, updated_at = now()
    where excluded.notify is distinct from c.notify and excluded.notify is not null
)
select tell(
    array_agg(instance_id), array_agg(%(phone)s::text), array_agg('ReceivedCallback'::text),
    array_agg(%(callback_id)s::uuid), array_agg(%(callback)s::text)
)
from fresh
where %(callback)s::text is not null;

-- name: acknowledge
-- A later state implies the earlier ones; the first time of each is kept, and only what is new
-- is told.
with named as (
    select i.message_id, i.recorded_at from message_ids i
    where i.instance_id = %(instance_id)s::text and i.message_id = any(%(provider_ids)s::text[])
    union
    select i.message_id, i.recorded_at from message_ids i
    where i.instance_id = %(instance_id)s::text and i.provider_message_id = any(%(provider_ids)s::text[])
), before as materialized (
    select m.message_id, m.recorded_at, m.phone, m.from_me,
           case %(status)s::text
               when 'delivered' then m.delivered_at
               when 'read' then m.read_at
               else m.played_at
           end is null as is_news
    from messages m
    join named n on n.message_id = m.message_id and n.recorded_at = m.recorded_at
    where m.instance_id = %(instance_id)s::text
), noted as (
    update messages m
    set delivered_at = coalesce(m.delivered_at, %(at)s::timestamptz),
        read_at = case
            when %(status)s::text in ('read', 'played') then coalesce(m.read_at, %(at)s::timestamptz)
            else m.read_at end,
        played_at = case
            when %(status)s::text = 'played' then coalesce(m.played_at, %(at)s::timestamptz)
            else m.played_at end
    from before b
    where m.instance_id = %(instance_id)s::text and m.message_id = b.message_id
        and m.recorded_at = b.recorded_at and b.is_news
)
select message_id, phone, from_me, is_news from before;

-- name: on_their_way
-- Started and not yet recorded: a receipt for such a message has overtaken its record.
select message_id from message_queue
where instance_id = %(instance_id)s::text and message_id = any(%(message_ids)s::text[])
    and attempt_started_at is not null;

-- name: find_message
select * from message_states
where instance_id = %(instance_id)s::text and message_id = %(message_id)s::text
limit 1;

-- name: list_messages
-- Newest first, below the last one of the page before.
select * from message_states
where instance_id = %(instance_id)s::text and settled
    and (recorded_at, message_id) < (
        coalesce(%(before)s::timestamptz, 'infinity'), coalesce(%(before_id)s::text, '')
    )
    and recorded_at >= coalesce(%(from)s::timestamptz, '-infinity')
    and recorded_at < coalesce(%(to)s::timestamptz, 'infinity')
    and (%(phone)s::text is null or phone = %(phone)s::text)
    and (%(status)s::text is null or status = %(status)s::text)
order by recorded_at desc, message_id desc
limit %(limit)s::int;

-- name: old_months
-- Partitions that ended before anything that is still kept; the default one has no end.
select child.relname as name
from pg_inherits i
join pg_class child on child.oid = i.inhrelid
where i.inhparent = 'messages'::regclass
    and substring(pg_get_expr(child.relpartbound, child.oid) from 'TO \(''([^'']+)''\)')::timestamptz
        <= now() - make_interval(days => %(days)s::int)
order by child.relname;

-- name: wait_briefly
-- For the rest of the transaction: whoever must lock all of history gives up rather than queue.
select set_config('lock_timeout', '2s', true);
