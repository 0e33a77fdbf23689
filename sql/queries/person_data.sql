-- What is stored of one person, who is given by all their names.
-- Aliases: b broadcast list, c chat, g tag of a chat, m message, q queued message, t tag.

-- name: find_contacts
select phone, name, short, vname, notify, updated_at
from contacts
where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[])
order by phone;

-- name: find_identities
select lid, phone, name, updated_at
from identities
where instance_id = %(instance_id)s::text
    and (lid = any(%(names)s::text[]) or phone = any(%(names)s::text[]))
order by lid;

-- name: find_chats
select c.phone, c.name, c.unread, c.last_message_at, c.archived, c.pinned, c.muted,
       c.note, c.note_created_at, c.note_updated_at,
       array(
           select t.name from chat_tags g
           join tags t on t.instance_id = g.instance_id and t.id = g.tag_id
           where g.instance_id = c.instance_id and g.phone = c.phone
           order by t.name
       ) as tags
from chats c
where c.instance_id = %(instance_id)s::text and c.phone = any(%(names)s::text[])
order by c.phone;

-- name: find_consents
select phone, status, source, note, at
from consents
where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[])
order by phone;

-- name: find_broadcast_lists
select b.name
from broadcast_lists b
where b.instance_id = %(instance_id)s::text and b.phones && %(names)s::text[]
order by b.name;

-- name: find_queued
select q.zaap_id, q.message_id, q.status, q.type, q.phone, q.payload, q.last_error, q.due_at,
       q.expires_at, q.attempts, q.created_at
from message_queue q
where q.instance_id = %(instance_id)s::text and q.phone = any(%(names)s::text[])
order by q.sequence_number
limit %(max_count)s::int;

-- name: find_messages
-- The latest before the cursor. Those that the person wrote in groups have no index of their own.
select m.message_id, m.zaap_id, m.from_me, m.status, m.phone, m.sender, m.type, m.payload, m.error,
       m.attempts, m.created_at, m.sent_at, m.delivered_at, m.read_at, m.played_at, m.failed_at,
       m.recorded_at
from messages m
where m.instance_id = %(instance_id)s::text
    and (m.phone = any(%(names)s::text[]) or m.sender = any(%(names)s::text[]))
    and (
        %(before)s::timestamptz is null
        or (m.recorded_at, m.message_id) < (%(before)s::timestamptz, %(before_id)s::text)
    )
order by m.recorded_at desc, m.message_id desc
limit %(limit)s::int;

-- name: find_files
select id, mime_type, file_name, size_bytes, created_at, expires_at
from media
where instance_id = %(instance_id)s::text and id = any(%(ids)s::text[])
order by id;
