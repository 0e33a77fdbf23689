-- Aliases: a receipt (in list_messages_of_chat: name of the chat), b message before the receipt, c chat (in
-- add_received: contact; in list_statuses: name of the chat), i id of a message (in
-- find_expired_months and delete_expired_receipts: inheritance; in list_receipts: identity), m message,
-- n named message (in find_known and list_statuses: number), p identity, q queued message, r receipt of a
-- participant, s shown message, t total, w wanted id.

-- name: find_known
-- Messages with their chat as WhatsApp knows it, whichever spelling of the number they were sent to.
select m.message_id, coalesce(m.provider_message_id, m.message_id) as provider_message_id,
       coalesce(n.phone, m.phone) as chat, m.sender, m.from_me, m.type, m.payload, m.provider_data
from message_ids i
join messages m
    on m.instance_id = i.instance_id and m.message_id = i.message_id and m.recorded_at = i.recorded_at
left join whatsapp_numbers n on n.instance_id = m.instance_id and n.spelling = m.phone
where i.instance_id = %(instance_id)s::text and i.message_id = any(%(message_ids)s::text[])
    and m.status <> 'canceled';

-- name: find_unknown_ids
-- Ids of messages that the instance neither has in its queue nor has sent or received.
select w.id
from unnest(%(ids)s::text[]) as w (id)
where not exists (
    select 1 from message_queue q
    where q.instance_id = %(instance_id)s::text and q.message_id = w.id
) and not exists (
    select 1
    from message_ids i
    join messages m
        on m.instance_id = i.instance_id and m.message_id = i.message_id and m.recorded_at = i.recorded_at
    where i.instance_id = %(instance_id)s::text and i.message_id = w.id and m.status <> 'canceled'
);

-- name: find_referred
-- Messages that another message refers to, by the id of the provider or of the gateway.
select coalesce(i.provider_message_id, i.message_id) as provider_message_id, i.message_id,
       m.phone as chat, m.sender, m.from_me
from message_ids i
left join messages m
    on m.instance_id = i.instance_id and m.message_id = i.message_id and m.recorded_at = i.recorded_at
where i.instance_id = %(instance_id)s::text
    and (i.message_id = any(%(ids)s::text[]) or i.provider_message_id = any(%(ids)s::text[]));

-- name: add_received
-- A repeated message adds nothing and makes no callback. A message that could not be decrypted before
-- is filled in, once.
with fresh as (
    -- Claims the id of the message; no row if the message is known under either id.
    insert into message_ids (instance_id, message_id, recorded_at)
    select %(instance_id)s::text, %(message_id)s::text, now()
    where not exists (
        select 1 from message_ids
        where instance_id = %(instance_id)s::text and provider_message_id = %(message_id)s::text
    )
    on conflict (instance_id, message_id) do nothing
    returning instance_id, message_id, recorded_at
), added as (
    -- Stores a message that is new.
    insert into messages (
        instance_id, message_id, recorded_at, created_at, version, from_me, status, phone, sender,
        type, payload, provider_data
    )
    select instance_id, message_id, recorded_at, %(at)s::timestamptz, 1, %(from_me)s::boolean,
           'received', %(phone)s::text, %(sender)s::text, %(type)s::text, %(payload)s::jsonb,
           %(provider_data)s::bytea
    from fresh
), replaced as (
    -- Fills in a message that the session could not decrypt when it arrived.
    update messages m
    set type = %(type)s::text, payload = %(payload)s::jsonb, provider_data = %(provider_data)s::bytea
    from message_ids i
    where i.instance_id = %(instance_id)s::text and i.message_id = %(message_id)s::text
        and m.instance_id = i.instance_id and m.message_id = i.message_id
        and m.recorded_at = i.recorded_at
        and m.type = 'waitingMessage' and %(type)s::text <> 'waitingMessage'
    returning m.instance_id
), news as (
    -- The instance, if the message is new or was filled in.
    select instance_id from fresh
    union all
    select instance_id from replaced
), contact as (
    -- Learns the name under which the sender of a new message appears.
    insert into contacts as c (instance_id, phone, notify)
    select instance_id, %(sender)s::text, %(sender_name)s::text
    from fresh
    where %(sender)s::text ~ '^[0-9]+$' and not %(from_me)s::boolean
    on conflict (instance_id, phone) do update
    set notify = excluded.notify, updated_at = now()
    where excluded.notify is distinct from c.notify and excluded.notify is not null
)
select enqueue_callbacks_v2(
    array_agg(instance_id), array_agg(%(phone)s::text), array_agg('ReceivedCallback'::text),
    array_agg(%(callback_id)s::uuid), array_agg(%(callback)s::text)
)
from news
where %(callback)s::text is not null;

-- name: count_none_as_unread
-- For the rest of the transaction; update_chats_v2 reads this.
select set_config('gateway.counts_unread', 'off', true);

-- name: store_chat
-- The phone's count of unread messages does not include messages that came after it was taken.
insert into chats as c (instance_id, phone, name, unread, last_message_at)
values (
    %(instance_id)s::text, %(phone)s::text, %(name)s::text, coalesce(%(unread)s::int, 0),
    %(last_message_at)s::timestamptz
)
on conflict (instance_id, phone) do update
set name = coalesce(excluded.name, c.name),
    unread = case
        when c.last_message_at > excluded.last_message_at then c.unread
        else coalesce(%(unread)s::int, c.unread) end,
    last_message_at = greatest(c.last_message_at, excluded.last_message_at);

-- name: edit_content
-- Replaces the content of a message, so that later quotes show the edited text.
update messages m
set payload = %(payload)s::jsonb
from message_ids i
where i.instance_id = %(instance_id)s::text and i.message_id = %(message_id)s::text
    and m.instance_id = i.instance_id and m.message_id = i.message_id
    and m.recorded_at = i.recorded_at and m.status = 'received';

-- name: acknowledge
-- Receipts, each of one chat: one position in the arrays for each message that a receipt names, and at
-- most one receipt of each instance. A later state implies the earlier ones. The first time of each is
-- stored; `is_news` says that this receipt is the first, for the message or for the participant of a
-- group. `is_in_flight` marks a message whose receipt has overtaken the record of its send. The statement
-- reads queue and history in one snapshot, so it finds such a message in exactly one of them. The rows
-- have the order of the arrays. Each message is looked up by its index: no plan can join all of them.
with receipt as (
    -- The receipts as rows.
    select *
    from unnest(
        %(ordinals)s::int[], %(instance_ids)s::text[], %(provider_ids)s::text[], %(statuses)s::text[],
        %(ats)s::timestamptz[], %(participants)s::text[]
    ) with ordinality as a (ordinal, instance_id, provider_id, status, at, participant, nth)
), named as (
    -- The messages, by their own ids or by the ids of the provider.
    select distinct on (a.ordinal, i.message_id)
           a.ordinal, a.instance_id, a.status, a.at, a.participant, a.nth, i.message_id, i.recorded_at
    from receipt a
    cross join lateral (
        select i.message_id, i.recorded_at from message_ids i
        where i.instance_id = a.instance_id and i.message_id = a.provider_id
        union all
        select i.message_id, i.recorded_at from message_ids i
        where i.instance_id = a.instance_id and i.provider_message_id = a.provider_id
        offset 0
    ) i
    order by a.ordinal, i.message_id, a.nth
), before as materialized (
    -- What was known of them before this receipt, and whether it is the first of its kind.
    select n.*, m.phone, m.from_me, m.payload ->> 'track_id' as track_id,
           case n.status
               when 'sent' then m.sent_at
               when 'delivered' then m.delivered_at
               when 'read' then m.read_at
               else m.played_at
           end is null as is_first,
           n.participant is not null and case n.status
               when 'delivered' then r.delivered_at
               when 'read' then r.read_at
               when 'played' then r.played_at
               else now()
           end is null as is_first_of_participant
    from named n
    cross join lateral (
        select m.phone, m.from_me, m.payload, m.sent_at, m.delivered_at, m.read_at, m.played_at
        from messages m
        where m.instance_id = n.instance_id and m.message_id = n.message_id
            and m.recorded_at = n.recorded_at
        offset 0
    ) m
    left join message_receipts r
        on r.instance_id = n.instance_id and r.message_id = n.message_id
        and r.participant = n.participant
), noted as (
    -- Notes a first receipt of each message.
    update messages m
    set sent_at = coalesce(m.sent_at, b.at),
        delivered_at = case
            when b.status = 'sent' then m.delivered_at else coalesce(m.delivered_at, b.at) end,
        read_at = case
            when b.status in ('read', 'played') then coalesce(m.read_at, b.at) else m.read_at end,
        played_at = case
            when b.status = 'played' then coalesce(m.played_at, b.at) else m.played_at end
    from before b
    where m.instance_id = b.instance_id and m.message_id = b.message_id
        and m.recorded_at = b.recorded_at and b.is_first
), noted_of_participant as (
    -- Notes a first receipt of each participant in a group.
    insert into message_receipts as r (
        instance_id, message_id, participant, recorded_at, delivered_at, read_at, played_at
    )
    select b.instance_id, b.message_id, b.participant, b.recorded_at, b.at,
           case when b.status in ('read', 'played') then b.at end,
           case when b.status = 'played' then b.at end
    from before b
    where b.is_first_of_participant and b.from_me
    on conflict (instance_id, message_id, participant) do update
    set read_at = coalesce(r.read_at, excluded.read_at),
        played_at = coalesce(r.played_at, excluded.played_at)
)
select ordinal, message_id, phone, coalesce(known_chat_v1(instance_id, phone), phone) as chat, from_me,
       track_id,
       case when participant is null then is_first else is_first_of_participant end as is_news,
       false as is_in_flight, nth
from before
union all
select a.ordinal, q.message_id, q.phone, q.phone, true, null, false, true, a.nth
from receipt a
cross join lateral (
    select q.message_id, q.phone from message_queue q
    where q.instance_id = a.instance_id and q.message_id = a.provider_id
        and q.attempt_started_at is not null
    offset 0
) q
order by nth;

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
    and (%(track_id)s::text is null or payload ->> 'track_id' = %(track_id)s::text)
    and (%(status)s::text is null or status = %(status)s::text)
order by recorded_at desc, message_id desc
limit %(limit)s::int;

-- name: list_messages_of_chat
-- The same of one chat, by each of its names: only so each is read in the order of its index. With all
-- names at once, Postgres reads the newest messages of every chat until it has found enough of this one.
select m.*
from unnest(%(phones)s::text[]) as a (name)
cross join lateral (
    select * from message_states
    where instance_id = %(instance_id)s::text and settled and phone = a.name
        and (recorded_at, message_id) < (
            coalesce(%(before)s::timestamptz, 'infinity'), coalesce(%(before_id)s::text, '')
        )
        and recorded_at >= coalesce(%(from)s::timestamptz, '-infinity')
        and recorded_at < coalesce(%(to)s::timestamptz, 'infinity')
        and (%(track_id)s::text is null or payload ->> 'track_id' = %(track_id)s::text)
        and (%(status)s::text is null or status = %(status)s::text)
    order by recorded_at desc, message_id desc
    limit %(limit)s::int
) m
order by m.recorded_at desc, m.message_id desc
limit %(limit)s::int;

-- name: find_expired_months
-- Partitions that ended before the retention begins; the default partition has no end.
select child.relname as name
from pg_inherits i
join pg_class child on child.oid = i.inhrelid
where i.inhparent = 'messages'::regclass
    and substring(pg_get_expr(child.relpartbound, child.oid) from 'TO \(''([^'']+)''\)')::timestamptz
        <= now() - make_interval(days => %(days)s::int)
order by child.relname;

-- name: delete_expired_receipts
-- Receipts from before the oldest month that is left.
with oldest as materialized (
    -- The beginning of the oldest month that history still has.
    select min(substring(
        pg_get_expr(child.relpartbound, child.oid) from 'FROM \(''([^'']+)''\)'
    )::timestamptz) as since
    from pg_inherits i
    join pg_class child on child.oid = i.inhrelid
    where i.inhparent = 'messages'::regclass
)
delete from message_receipts
where ctid = any(array(
    select r.ctid from message_receipts r
    where r.recorded_at < (select since from oldest)
    order by r.recorded_at
    limit %(max_count)s::int
));

-- name: limit_lock_wait
-- For the rest of the transaction: a statement that locks all of history soon gives up, because all
-- other transactions queue behind it.
select set_config('lock_timeout', %(milliseconds)s::text, true);

-- name: list_statuses
-- Messages that the instance sent, with the first time of each state, newest first; and how many there
-- are in all, of which it counts max_counted. Where the page is empty, one row without a message has the
-- number. At most max_examined messages are examined: the newest of the instance, or of each name of the
-- chat.
with examined as (
    -- The newest of the instance; of each name of a chat; or the one with the id.
    (
        select m.message_id, m.recorded_at, m.from_me, m.status
        from messages m
        where m.instance_id = %(instance_id)s::text
            and cardinality(%(phones)s::text[]) = 0 and %(message_id)s::text is null
        order by m.recorded_at desc, m.message_id
        limit %(max_examined)s::int
    )
    union all
    select m.message_id, m.recorded_at, m.from_me, m.status
    from unnest(%(phones)s::text[]) as c (name)
    cross join lateral (
        select message_id, recorded_at, from_me, status
        from messages
        where instance_id = %(instance_id)s::text and phone = c.name and %(message_id)s::text is null
        order by recorded_at desc
        limit %(max_examined)s::int
    ) m
    union all
    select m.message_id, m.recorded_at, m.from_me, m.status
    from message_ids i
    join messages m
        on m.instance_id = i.instance_id and m.message_id = i.message_id and m.recorded_at = i.recorded_at
    where i.instance_id = %(instance_id)s::text
        and (i.message_id = %(message_id)s::text or i.provider_message_id = %(message_id)s::text)
        and (cardinality(%(phones)s::text[]) = 0 or m.phone = any(%(phones)s::text[]))
), sent as materialized (
    -- Those that the instance sent.
    select message_id, recorded_at from examined
    where from_me and status in ('received', 'sent')
    order by recorded_at desc, message_id
    limit %(max_counted)s::int
), page as (
    -- Those of the page.
    select message_id, recorded_at from sent
    order by recorded_at desc, message_id
    limit %(max_count)s::int offset %(skipped)s::int
), shown as (
    -- With their times and the LID of the chat.
    select m.message_id, m.phone, m.recorded_at, coalesce(m.sent_at, m.recorded_at) as sent_at,
           m.delivered_at, m.read_at, m.played_at, p.lid
    from page
    cross join lateral (
        select * from messages
        where instance_id = %(instance_id)s::text and message_id = page.message_id
            and recorded_at = page.recorded_at
        limit 1
    ) m
    left join whatsapp_numbers n on n.instance_id = m.instance_id and n.spelling = m.phone
    left join identities p on p.instance_id = m.instance_id and p.phone = coalesce(n.phone, m.phone)
)
select t.total, s.message_id, s.phone, s.sent_at, s.delivered_at, s.read_at, s.played_at, s.lid
from (select count(*) as total from sent) t
left join shown s on true
order by s.recorded_at desc, s.message_id;

-- name: list_receipts
select r.message_id, r.participant, i.lid, r.delivered_at, r.read_at, r.played_at
from message_receipts r
left join identities i
    on i.instance_id = r.instance_id and i.phone = r.participant
where r.instance_id = %(instance_id)s::text and r.message_id = any(%(message_ids)s::text[])
order by r.message_id, r.participant;
