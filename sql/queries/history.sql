-- name: find_known
select m.message_id, coalesce(m.provider_message_id, m.message_id) as provider_message_id,
       m.phone as chat, m.sender, m.from_me, m.type, m.payload, m.provider_data
from message_ids i
join messages m
    on m.instance_id = i.instance_id and m.message_id = i.message_id and m.recorded_at = i.recorded_at
where i.instance_id = %(instance_id)s::text and i.message_id = any(%(message_ids)s::text[])
    and m.status <> 'canceled';

-- name: add_received
-- A provider that repeats itself adds nothing.
with fresh as (
    insert into message_ids (instance_id, message_id, recorded_at)
    values (%(instance_id)s::text, %(message_id)s::text, now())
    on conflict (instance_id, message_id) do nothing
    returning instance_id, message_id, recorded_at
)
insert into messages (
    instance_id, message_id, recorded_at, created_at, version, from_me, status, phone, sender, type, payload,
    provider_data
)
select instance_id, message_id, recorded_at, %(at)s::timestamptz, 1, %(from_me)s::boolean, 'received',
       %(phone)s::text, %(sender)s::text, %(type)s::text, %(payload)s::jsonb, %(provider_data)s::bytea
from fresh;

-- name: acknowledge
-- A later state implies the earlier ones; the first time of each is kept.
with named as (
    select i.message_id, i.recorded_at from message_ids i
    where i.instance_id = %(instance_id)s::text and i.message_id = any(%(provider_ids)s::text[])
    union
    select i.message_id, i.recorded_at from message_ids i
    where i.instance_id = %(instance_id)s::text and i.provider_message_id = any(%(provider_ids)s::text[])
)
update messages m
set delivered_at = case
        when %(status)s::text in ('delivered', 'read', 'played') then coalesce(m.delivered_at, %(at)s::timestamptz)
        else m.delivered_at end,
    read_at = case
        when %(status)s::text in ('read', 'played') then coalesce(m.read_at, %(at)s::timestamptz)
        else m.read_at end,
    played_at = case
        when %(status)s::text = 'played' then coalesce(m.played_at, %(at)s::timestamptz)
        else m.played_at end
from named
where m.instance_id = %(instance_id)s::text and m.message_id = named.message_id
    and m.recorded_at = named.recorded_at
returning m.message_id;

-- name: on_their_way
-- Started and not yet recorded: a receipt for such a message has overtaken its record.
select message_id from message_queue
where instance_id = %(instance_id)s::text and message_id = any(%(message_ids)s::text[])
    and attempt_started_at is not null;
