-- Aliases: a attempt, c chat, contact or consent, d dead letter (in attempts: logged delivery), e stored or recorded event,
-- f file, i identity or id of a message, k idempotency key, l stored order of chats, m message, n node,
-- o callback in the outbox, p payload, q queued message, r receipt, t tag of a chat, u count of one chat, v picture,
-- w delivery queue of a chat (in erase_person: number). In the lists of erase_person p is a member.

-- name: provider_ids_of_person
-- WhatsApp's ids of the messages to and from a person.
select i.provider_message_id
from messages m
join message_ids i on i.instance_id = m.instance_id and i.message_id = m.message_id
where m.instance_id = %(instance_id)s::text
    and (m.phone = any(%(names)s::text[]) or m.sender = any(%(names)s::text[]))
    and i.provider_message_id is not null;

-- name: erase_person
-- Deletes the messages, contact, chat and identity of a person, and lets their files expire unless a
-- message of another chat names them too. Stored events are emptied but stay: their ids keep a repeated
-- event from being processed again.
with queued as (
    -- Messages that wait and whose attempt has not started.
    delete from message_queue q
    where q.instance_id = %(instance_id)s::text and q.phone = any(%(names)s::text[])
        and q.attempt_started_at is null
    returning q.message_id, q.payload
), recorded as (
    -- Messages in history, to and from the person.
    delete from messages m
    where m.instance_id = %(instance_id)s::text
        and (m.phone = any(%(names)s::text[]) or m.sender = any(%(names)s::text[]))
    returning m.message_id, m.payload
), erased as (
    -- The ids of both.
    select message_id from queued union select message_id from recorded
), lists as (
    -- Takes the person out of broadcast lists.
    update broadcast_lists
    set phones = array(
        select p.phone from unnest(phones) with ordinality as p (phone, place)
        where p.phone <> all(%(names)s::text[])
        order by p.place
    ), name = regexp_replace(name, %(pattern)s::text, '***', 'g')
    where instance_id = %(instance_id)s::text
        and (phones && %(names)s::text[] or name ~ %(pattern)s::text)
), ids as (
    -- Their provider ids.
    delete from message_ids i
    where i.instance_id = %(instance_id)s::text and i.message_id in (select message_id from recorded)
), attempts as (
    -- Their failed attempts.
    delete from message_attempts a
    where a.instance_id = %(instance_id)s::text and a.message_id in (select message_id from erased)
), receipts as (
    -- Receipts of those messages, and the person's receipts in groups.
    delete from message_receipts r
    where r.instance_id = %(instance_id)s::text
        and (r.participant = any(%(names)s::text[]) or r.message_id in (select message_id from recorded))
), keys as (
    -- The idempotency keys of those messages and of one that is being sent, and keys that name the person.
    delete from idempotency_keys k
    where k.instance_id = %(instance_id)s::text
        and (
            k.message_id in (select message_id from erased)
            or k.message_id in (
                select message_id from message_queue q
                where q.instance_id = %(instance_id)s::text and q.phone = any(%(names)s::text[])
            )
            or k.key ~ %(pattern)s::text
        )
    returning k.key
), agreed as (
    -- What was written about the person's consent. The consent and its time stay.
    update consents c
    set source = null, note = null
    where c.instance_id = %(instance_id)s::text and c.phone = any(%(names)s::text[])
        and (c.source is not null or c.note is not null)
    returning c.phone
), events as (
    -- Empties stored events of or about the person.
    update inbox e
    set body = null, error = null, chat = ''
    where e.instance_id = %(instance_id)s::text
        and array[e.chat, e.body ->> 'sender', e.body ->> 'sender_lid'] && %(names)s::text[]
), named as materialized (
    -- Ids of the files that the deleted messages name.
    select distinct found[1] as id
    from (select payload from queued union all select payload from recorded) p
    cross join lateral regexp_matches(p.payload::text, '[0-9a-f]{64}', 'g') as found
), shared as materialized (
    -- Ids of the files that a message of another chat names too.
    select distinct found[1] as id
    from messages m
    cross join lateral regexp_matches(m.payload::text, '[0-9a-f]{64}', 'g') as found
    where m.instance_id = %(instance_id)s::text and exists (select from named)
        and m.phone <> all(%(names)s::text[]) and coalesce(m.sender, '') <> all(%(names)s::text[])
), files as (
    -- Lets the files expire that only this person had.
    update media f
    set expires_at = now()
    where f.instance_id = %(instance_id)s::text and f.expires_at > now()
        and f.id in (select id from named except select id from shared)
    returning f.id
), chat as (
    -- The chat.
    delete from chats c
    where c.instance_id = %(instance_id)s::text and c.phone = any(%(names)s::text[])
    returning c.phone
), labels as (
    -- The chat's tags.
    delete from chat_tags t
    where t.instance_id = %(instance_id)s::text and t.phone = any(%(names)s::text[])
), listings as (
    -- Stored orders of chats, which would still name the person.
    delete from chat_listings l where l.instance_id = %(instance_id)s::text
), person as (
    -- The contact.
    delete from contacts c
    where c.instance_id = %(instance_id)s::text and c.phone = any(%(names)s::text[])
    returning c.phone
), identity as (
    -- The pair of phone and lid.
    delete from identities i
    where i.instance_id = %(instance_id)s::text
        and (i.lid = any(%(names)s::text[]) or i.phone = any(%(names)s::text[]))
    returning i.lid
), pictures as (
    -- Links to the person's pictures.
    delete from profile_pictures v
    where v.instance_id = %(instance_id)s::text and v.phone = any(%(names)s::text[])
), numbers as (
    -- How WhatsApp knows the spellings of the number.
    delete from whatsapp_numbers w
    where w.instance_id = %(instance_id)s::text
        and (w.spelling = any(%(names)s::text[]) or w.phone = any(%(names)s::text[]))
)
select (select count(*) from queued) as queue, (select count(*) from recorded) as messages,
       (select count(*) from files) as media,
       (select count(*) from chat) as chats, (select count(*) from person) as contacts,
       (select count(*) from identity) as identities, (select count(*) from keys) as idempotency_keys,
       (select count(*) from agreed) as consents;

-- name: lock_callbacks
-- Runs before erase_callbacks, so that no transaction appends a callback to a delivery queue that is being
-- deleted. Locks in the order of webhooks and chats, as every other transaction does.
select chat from delivery_queues
where instance_id = %(instance_id)s::text
order by webhook_id, chat
for no key update;

-- name: erase_callbacks
-- Deletes callbacks, delivered or not, of the person's own chat and of their acts in other chats.
with events as (
    -- Events that were recorded.
    delete from webhook_events e
    where e.instance_id = %(instance_id)s::text
        and (e.chat = any(%(names)s::text[]) or e.body like any(%(participants)s::text[]))
    returning e.id
), waiting as (
    -- Callbacks that wait for delivery.
    delete from callback_outbox o
    where o.instance_id = %(instance_id)s::text
        and (o.chat = any(%(names)s::text[]) or o.body like any(%(participants)s::text[]))
    returning o.id, o.webhook_id, o.chat
), dead as (
    -- Callbacks that were given up.
    delete from webhook_dead_letters d
    where d.instance_id = %(instance_id)s::text
        and (d.chat = any(%(names)s::text[]) or d.body like any(%(participants)s::text[]))
    returning d.id
), erased as (
    -- The ids of all three.
    select id from events union select id from waiting union select id from dead
), attempts as (
    -- Logged deliveries to the person's chat, or of those ids.
    delete from webhook_deliveries d
    where d.instance_id = %(instance_id)s::text
        and (d.chat = any(%(names)s::text[]) or d.callback_id in (select id from erased))
), lines as (
    -- The delivery queue of the person's chat.
    delete from delivery_queues w
    where w.instance_id = %(instance_id)s::text and w.chat = any(%(names)s::text[])
), shortened as (
    -- Counts the deleted callbacks out of the delivery queues of other chats.
    update delivery_queues w
    set pending = w.pending - u.count, due_at = case when w.pending > u.count then w.due_at end
    from (select webhook_id, chat, count(*) as count from waiting group by webhook_id, chat) u
    where w.webhook_id = u.webhook_id and w.instance_id = %(instance_id)s::text and w.chat = u.chat
        and w.chat <> all(%(names)s::text[])
)
select count(*) as callbacks from erased;

-- name: find_consent
-- The newest record of a person, under whichever name.
select phone, status, source, note, at from consents
where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[])
order by at desc
limit 1;

-- name: list_consents
select phone, status, source, note, at from consents
where instance_id = %(instance_id)s::text
    and (%(status)s::text is null or status = %(status)s::text)
    and (%(part)s::text is null or strpos(phone, %(part)s::text) > 0)
order by phone
limit %(max_count)s::int offset %(offset)s::bigint;

-- name: count_consents
select count(*) as count from consents
where instance_id = %(instance_id)s::text
    and (%(status)s::text is null or status = %(status)s::text)
    and (%(part)s::text is null or strpos(phone, %(part)s::text) > 0);

-- name: record_consent
-- One record for all names of a person.
with other as (
    -- Deletes what was recorded under another name.
    delete from consents
    where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[])
        and phone <> %(phone)s::text
)
insert into consents (instance_id, phone, status, source, note)
values (
    %(instance_id)s::text, %(phone)s::text, %(status)s::text, %(source)s::text, %(note)s::text
)
on conflict (instance_id, phone) do update
set status = excluded.status, source = excluded.source, note = excluded.note, at = now()
returning phone, status, source, note, at;

-- name: delete_consent
delete from consents
where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[]);

-- name: opted_out
select phone from consents
where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[]) and status = 'revoked';

-- name: set_consent_rule
update accounts set refuse_opted_out = %(refuse)s::boolean where id = %(account_id)s::text;
