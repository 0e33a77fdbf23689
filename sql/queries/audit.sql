-- The log of administrative acts.
-- Aliases: i instances, l instance_lines, a accounts, q message_queue, d webhook_dead_letters,
-- f webhooks, k api_keys, s callback_settings.

-- name: note_act
-- Adds an entry to the audit log.
with old as (
    -- Deletes a few entries that are too old.
    delete from audit_log
    where id = any(array(
        select id from audit_log
        where at < now() - make_interval(days => %(days)s::int) order by at limit 100
    ))
)
insert into audit_log (account_id, instance_id, act, address, credential, user_name, details)
values (
    %(account_id)s::text, %(instance_id)s::text, %(act)s::text, %(address)s::text,
    %(credential)s::text, %(user_name)s::text, %(details)s::jsonb
)
returning id;

-- name: complete_act
update audit_log set outcome = %(outcome)s::text, details = details || %(details)s::jsonb
where id = %(id)s::bigint;

-- name: list_acts
-- An act on the account names its instance among the fields of the request.
select id, at, instance_id, act, address, credential, user_name, outcome, details
from audit_log
where account_id = %(account_id)s::text and id < %(before)s::bigint
    and at >= now() - make_interval(days => %(days)s::int)
    and (%(since)s::timestamptz is null or at >= %(since)s::timestamptz)
    and (%(until)s::timestamptz is null or at < %(until)s::timestamptz)
    and (%(act)s::text is null or act = %(act)s::text)
    and (%(user)s::text is null or strpos(lower(user_name), lower(%(user)s::text)) > 0)
    and (%(credential)s::text is null or credential = %(credential)s::text)
    and (%(address)s::text is null or strpos(address, %(address)s::text) > 0)
    and (
        %(instance_id)s::text is null
        or %(instance_id)s::text in (instance_id, details -> 'given' ->> 'instance_id')
    )
    and (
        %(outcome)s::text is null
        or case %(outcome)s::text when 'done' then outcome = 'done' else outcome <> 'done' end
    )
order by id desc
limit %(limit)s::int offset %(offset)s::bigint;

-- name: state_of_instance
-- The settings of an instance; of a secret only enough to see that it is another one.
select to_jsonb(shown) as state from (
    -- What may be shown: not the secrets, and nothing that a person wrote.
    select i.name, i.provider, i.wanted, i.subscribed, i.with_calls, i.canceled_at, i.trial_ends_at,
           i.pace_min_seconds, i.pace_max_seconds, i.daily_limit, i.warm_up_days,
           i.received_callback_url, i.delivery_callback_url, i.message_status_callback_url,
           i.connected_callback_url, i.disconnected_callback_url, i.presence_chat_callback_url,
           i.notify_sent_by_me, i.call_reject_auto, i.auto_read_message, i.auto_read_status,
           i.disable_enqueue_when_disconnected, s.history_sync_url, s.proxy_url as proxy_callback_url,
           s.message_filters, s.callback_type_filters,
           left(encode(i.token_hash, 'hex'), 8) as token,
           left(encode(sha256(i.proxy_ciphertext), 'hex'), 8) as proxy,
           left(encode(sha256(convert_to(i.provider_settings::text, 'UTF8')), 'hex'), 8)
               as provider_settings,
           left(encode(sha256(convert_to(i.call_reject_message, 'UTF8')), 'hex'), 8)
               as call_reject_message
    from instances i
    left join callback_settings s on s.instance_id = i.id
    where i.id = %(instance_id)s::text
) shown;

-- name: state_of_queue
select jsonb_build_object(
    'paused', l.paused, 'hold_until', l.hold_until, 'hold_kind', l.hold_kind,
    'pace_min_seconds', i.pace_min_seconds, 'pace_max_seconds', i.pace_max_seconds,
    'daily_limit', i.daily_limit, 'warm_up_days', i.warm_up_days, 'order', l.queue_order,
    'unknown_quote', l.unknown_quote
) || (
    select jsonb_build_object(
        'waiting', count(*) filter (where q.status in ('behind', 'parked', 'pending', 'processing')),
        'scheduled', count(*) filter (where q.status = 'scheduled'),
        'failed', count(*) filter (where q.status = 'failed')
    )
    from message_queue q where q.instance_id = %(instance_id)s::text
) as state
from instance_lines l join instances i on i.id = l.instance_id
where l.instance_id = %(instance_id)s::text;

-- name: state_of_account
select jsonb_build_object(
    'name', a.name,
    'client_token', left(encode(a.client_token_hash, 'hex'), 8),
    'client_token_required', a.client_token_required,
    'partner_token', left(encode(a.partner_token_hash, 'hex'), 8),
    'allowed_addresses', a.allowed_addresses,
    'webhook_secret', left(encode(sha256(a.webhook_secret_ciphertext), 'hex'), 8),
    'previous_webhook_secret',
    left(encode(sha256(a.previous_webhook_secret_ciphertext), 'hex'), 8),
    'refuse_opted_out', a.refuse_opted_out,
    'payload_encryption', a.payload_encryption,
    'settings', (
        select jsonb_object_agg(f.instance_id, f.settings) from feature_settings f
        where f.account_id = a.id
    )
) as state
from accounts a where a.id = %(account_id)s::text;

-- name: state_of_dead_letters
select coalesce(jsonb_object_agg(counted.status, counted.count), '{}') as state
from (
    -- One row per status.
    select d.status, count(*) as count from webhook_dead_letters d
    where d.instance_id = %(instance_id)s::text group by d.status
) counted;

-- name: state_of_webhooks
-- The further webhooks by id; of a secret only enough to see that it is another one.
select coalesce(jsonb_object_agg(f.id, jsonb_build_object(
    'url', split_part(f.url, '?', 1), 'types', f.types, 'enabled', f.enabled,
    'header_names', f.header_names,
    'headers', left(encode(sha256(f.headers_ciphertext), 'hex'), 8),
    'secret', left(encode(sha256(f.secret_ciphertext), 'hex'), 8)
)), '{}') as state
from webhooks f where f.instance_id = %(instance_id)s::text;

-- name: state_of_api_keys
-- The keys by id; of a key itself only enough to see that it is another one.
select coalesce(jsonb_object_agg(k.id, jsonb_build_object(
    'name', k.name, 'scopes', k.scopes, 'instance_ids', k.instance_ids, 'networks', k.networks,
    'expires_at', k.expires_at, 'key', left(encode(k.token_hash, 'hex'), 8)
)), '{}') as state
from api_keys k where k.account_id = %(account_id)s::text;

-- name: state_of_consent
select jsonb_build_object('consent', (
    select status from consents
    where instance_id = %(instance_id)s::text and phone = any(%(names)s::text[])
    order by at desc
    limit 1
)) as state;
