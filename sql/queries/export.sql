-- What `gateway export` writes: pages of one instance or account, in the order of a key. No secrets.
-- Aliases: c chat, f feature settings, g tag of a chat, k API key, t tag, u latest use of a key.

-- name: export_account
select id, name, allowed_addresses::text[] as allowed_addresses, client_token_required,
       refuse_opted_out, payload_encryption, created_at,
       coalesce(
           (select f.settings from feature_settings f where f.account_id = id and f.instance_id = ''),
           '{}'
       ) as settings
from accounts where id = %(account_id)s::text;

-- name: export_instance
select id, name, provider, wanted, created_at, subscribed, trial_ends_at, canceled_at,
       pace_min_seconds, pace_max_seconds, daily_limit, warm_up_days,
       received_callback_url, delivery_callback_url, message_status_callback_url,
       connected_callback_url, disconnected_callback_url, presence_chat_callback_url,
       notify_sent_by_me, call_reject_auto, call_reject_message, auto_read_message, auto_read_status,
       disable_enqueue_when_disconnected,
       coalesce(
           (
               select f.settings from feature_settings f
               where f.account_id = instances.account_id and f.instance_id = id
           ),
           '{}'
       ) as settings
from instances where id = %(instance_id)s::text;

-- name: export_users
select id, email, name, role, language, totp_ciphertext is not null as has_second_factor,
       disabled_at, created_at
from users
where account_id = %(account_id)s::text and id > %(after)s::text
order by id limit %(max_count)s::int;

-- name: export_api_keys
select k.id, k.name, k.scopes, k.instance_ids, k.networks::text[] as networks, k.expires_at,
       k.created_by, k.created_at, u.used_at, u.address as used_from
from api_keys k
left join api_key_uses u on u.key_id = k.id
where k.account_id = %(account_id)s::text and k.id > %(after)s::text
order by k.id limit %(max_count)s::int;

-- name: export_traffic
with sums as (
    -- Gives each time as text, whose order is that of times.
    select instance_id,
           to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as at,
           accepted, sent, received, callbacks_delivered, callbacks_failed, failures, latency_ms,
           latency_counts, waiting_max, callbacks_timed, callback_lag_ms, callback_lag_max_ms
    from traffic
    where instance_id = %(instance_id)s::text
)
select * from sums
where at > %(after)s::text
order by at limit %(max_count)s::int;

-- name: export_webhooks
select instance_id, id::text as id, url, types, enabled, header_names, created_at
from webhooks
where instance_id = %(instance_id)s::text and id::text > %(after)s::text
order by id::text limit %(max_count)s::int;

-- name: export_contacts
select instance_id, phone, name, short, vname, notify, updated_at
from contacts
where instance_id = %(instance_id)s::text and phone > %(after)s::text
order by phone limit %(max_count)s::int;

-- name: export_identities
select instance_id, lid, phone, name, updated_at
from identities
where instance_id = %(instance_id)s::text and lid > %(after)s::text
order by lid limit %(max_count)s::int;

-- name: export_chats
select c.instance_id, c.phone, c.name, c.unread, c.last_message_at, c.archived, c.pinned, c.muted,
       c.note, c.note_created_at, c.note_updated_at,
       array(
           select t.name from chat_tags g
           join tags t on t.instance_id = g.instance_id and t.id = g.tag_id
           where g.instance_id = c.instance_id and g.phone = c.phone
           order by t.name
       ) as tags
from chats c
where c.instance_id = %(instance_id)s::text and c.phone > %(after)s::text
order by c.phone limit %(max_count)s::int;

-- name: export_tags
select instance_id, id::text as id, name, color
from tags
where instance_id = %(instance_id)s::text and id::text > %(after)s::text
order by id::text limit %(max_count)s::int;

-- name: export_consents
select instance_id, phone, status, source, note, at
from consents
where instance_id = %(instance_id)s::text and phone > %(after)s::text
order by phone limit %(max_count)s::int;

-- name: export_messages
-- A page ends between two ids: an id may have several rows.
select instance_id, message_id, zaap_id, from_me, status, phone, sender, type, payload, error,
       attempts, created_at, sent_at, delivered_at, read_at, played_at, failed_at, recorded_at
from messages
where instance_id = %(instance_id)s::text and message_id > %(after)s::text
order by message_id
fetch first (%(max_count)s::int) rows with ties;

-- name: export_receipts
select instance_id, message_id, participant, delivered_at, read_at, played_at
from message_receipts
where instance_id = %(instance_id)s::text and message_id > %(after)s::text
order by message_id
fetch first (%(max_count)s::int) rows with ties;

-- name: export_queue
select instance_id, zaap_id, message_id, status, type, phone, payload, last_error, priority,
       sequence_number, due_at, expires_at, attempts, created_at
from message_queue
where instance_id = %(instance_id)s::text and message_id > %(after)s::text
order by message_id limit %(max_count)s::int;

-- name: export_media
select instance_id, id, mime_type, file_name, size_bytes, created_at, expires_at
from media
where instance_id = %(instance_id)s::text and id > %(after)s::text
order by id limit %(max_count)s::int;
