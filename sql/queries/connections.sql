-- Aliases: a accepted message, c connection, d node, e message of history (in list_connections: whether a
-- node owns the connection), i instance, l lease, m count of messages, n queue of an instance, o other
-- connection, r rule of an instance, s settings of an instance, w what a node checked.

-- name: list_connections
-- The connections of an instance in their order. `connected` is the last state that the session
-- reported. Where no live node owns the lease nothing is connected or checked: what the last node found
-- is no longer known.
select c.id, c.provider, c.instance_id is not null as is_active, c.position, c.state, c.reason, c.changed_at,
       coalesce(n.connected, false) and e.is_owned as connected, c.last_error, c.last_error_at,
       case when e.is_owned then c.health else 'unknown' end as health,
       case when e.is_owned then c.health_reason end as health_reason,
       case when e.is_owned then c.health_since end as health_since, c.checked_at,
       case when e.is_owned then c.latency_ms end as latency_ms,
       case when e.is_owned then c.error_rate end as error_rate, c.repairs,
       case when e.is_owned then c.next_repair_at end as next_repair_at, c.reported, c.stored, c.processed
from instance_connections c
left join instance_lines n on n.instance_id = c.instance_id
cross join lateral (
    select exists (
        select from instance_leases l
        join nodes d on d.id = l.node_id and d.expires_at > now()
        where l.instance_id = c.instance_id
    ) as is_owned
) e
where c.owner_instance_id = %(instance_id)s::text
order by c.position, c.id;

-- name: find_connection_settings
select s.fallback, s.missing_receipts, s.of_messages, s.receipt_wait_seconds, s.receipt_missing_minutes, s.notify_refused
from connection_settings s
where s.instance_id = %(instance_id)s::text;

-- name: change_connection_settings
-- Null leaves a setting as it is. Returns no row if the instance is gone. Receipts are awaited of messages
-- that are accepted from the moment when the instance asks for it.
insert into connection_settings as s (
    instance_id, fallback, missing_receipts, of_messages, receipt_wait_seconds, receipt_missing_minutes,
    receipts_seen_until, notify_refused
)
select i.id, coalesce(%(fallback)s::text, 'off'), %(missing_receipts)s::int, %(of_messages)s::int,
       %(receipt_wait_seconds)s::int, coalesce(%(receipt_missing_minutes)s::int, 0), now(),
       coalesce(%(notify_refused)s::boolean, false)
from instances i
where i.id = %(instance_id)s::text
for key share
on conflict (instance_id) do update
set fallback = coalesce(%(fallback)s::text, s.fallback),
    missing_receipts = coalesce(excluded.missing_receipts, s.missing_receipts),
    of_messages = coalesce(excluded.of_messages, s.of_messages),
    receipt_wait_seconds = coalesce(excluded.receipt_wait_seconds, s.receipt_wait_seconds),
    receipt_missing_minutes = coalesce(%(receipt_missing_minutes)s::int, s.receipt_missing_minutes),
    receipts_seen_until = case
        when s.receipt_missing_minutes = 0 then now() else s.receipts_seen_until
    end,
    notify_refused = coalesce(%(notify_refused)s::boolean, s.notify_refused)
returning s.fallback, s.missing_receipts, s.of_messages, s.receipt_wait_seconds, s.receipt_missing_minutes,
    s.notify_refused;

-- name: list_receipt_rules
-- Instances that ask for callbacks of messages without a receipt, and are connected for a minute: receipts
-- that came meanwhile have arrived.
select s.instance_id
from connection_settings s
join instance_connections c on c.instance_id = s.instance_id
where s.receipt_missing_minutes > 0 and s.instance_id > %(after)s::text
    and c.state = 'connected' and c.changed_at <= now() - interval '1 minute'
order by s.instance_id
limit %(max_count)s::int;

-- name: find_without_receipt
-- Messages to people without a callback yet, whose minutes are over. Holds off
-- another node that does the same. Those that were accepted at one time come together.
with rule as (
    -- Locks the rule of each instance.
    select s.instance_id, s.receipt_missing_minutes as minutes, s.receipts_seen_until
    from connection_settings s
    where s.instance_id = any(%(instance_ids)s::text[]) and s.receipt_missing_minutes > 0
    order by s.instance_id
    for update
)
select r.instance_id, r.minutes, a.message_id, a.phone, a.track_id, a.recorded_at
from rule r
cross join lateral (
    select e.message_id, e.phone, e.payload ->> 'track_id' as track_id, e.recorded_at
    from messages e
    where e.instance_id = r.instance_id and e.from_me and e.status = 'sent' and e.connection_id is not null
        and (e.phone ~ '^[0-9]+$' or e.phone like '%%@lid')
        and e.recorded_at > r.receipts_seen_until
        and e.recorded_at <= now() - make_interval(mins => r.minutes)
        and coalesce(e.delivered_at, e.read_at, e.played_at) is null
    order by e.recorded_at
    fetch first (%(max_count)s::int) rows with ties
) a
order by r.instance_id, a.recorded_at, a.message_id;

-- name: note_receipts_seen
-- Up to the last message that has its callback, where there may be more; otherwise up to those that still have time.
update connection_settings s
set receipts_seen_until = greatest(
    s.receipts_seen_until, coalesce(w.until, now() - make_interval(mins => s.receipt_missing_minutes))
)
from unnest(%(instance_ids)s::text[], %(seen_up_to)s::timestamptz[]) as w (instance_id, until)
where s.instance_id = w.instance_id and s.receipt_missing_minutes > 0;

-- name: list_notified_of_refusals
select s.instance_id from connection_settings s
where s.instance_id = any(%(instance_ids)s::text[]) and s.notify_refused;

-- name: lock_connections
-- Transactions that add or delete connections of one instance wait here for each other.
select i.id from instances i where i.id = %(instance_id)s::text for no key update;

-- name: count_older_nodes
-- Live nodes of the release before, which knows one connection of each instance.
select count(*) as count from nodes
where expires_at > now() and connections_life is distinct from life;

-- name: add_standby
-- Adds a connection behind the others; a repeated statement finds its row.
insert into instance_connections (
    id, owner_instance_id, provider, settings_ciphertext, settings_key_id, position
)
select %(id)s::text, %(instance_id)s::text, %(provider)s::text, %(ciphertext)s::bytea, %(key_id)s::text,
       coalesce((
           select max(o.position) from instance_connections o
           where o.owner_instance_id = %(instance_id)s::text
       ), 0) + 1
on conflict (id) do nothing;

-- name: delete_standby
delete from instance_connections c
where c.owner_instance_id = %(instance_id)s::text and c.id = %(id)s::text and c.instance_id is null;

-- name: seal_settings
-- Stores the settings of the active connection encrypted.
update instance_connections c
set settings_ciphertext = %(ciphertext)s::bytea, settings_key_id = %(key_id)s::text
where c.instance_id = %(instance_id)s::text and c.settings_key_id is null;

-- name: list_unsealed
-- Connections from before settings were sealed, or whose instance a node of the release before made.
select c.instance_id, c.provider, i.provider_settings
from instance_connections c
join instances i on i.id = c.instance_id
where c.settings_key_id is null
limit %(max_count)s::int;

-- name: find_event_counts
select c.instance_id, c.reported, c.stored, c.processed
from instance_connections c
where c.instance_id = any(%(instance_ids)s::text[]);

-- name: find_missing_receipts
-- The connections of which too many of the latest accepted messages have no receipt. Only messages to people
-- count, which went by this connection and have had the time. Parameters are the rule of the service.
with rule as (
    -- The rule of each instance.
    select w.instance_id, w.connection_id,
           coalesce(s.missing_receipts, %(missing_receipts)s::int) as missing_receipts,
           coalesce(s.of_messages, %(of_messages)s::int) as of_messages,
           coalesce(s.receipt_wait_seconds, %(wait_seconds)s::int) as wait_seconds
    from unnest(%(instance_ids)s::text[], %(connection_ids)s::text[]) as w (instance_id, connection_id)
    left join connection_settings s on s.instance_id = w.instance_id
)
select r.instance_id, m.missing, r.of_messages, r.wait_seconds
from rule r
cross join lateral (
    select count(*) as messages,
           count(*) filter (where coalesce(a.delivered_at, a.read_at, a.played_at) is null) as missing
    from (
        select e.delivered_at, e.read_at, e.played_at
        from messages e
        where e.instance_id = r.instance_id and e.from_me and e.status = 'sent'
            and e.connection_id = r.connection_id and (e.phone ~ '^[0-9]+$' or e.phone like '%%@lid')
            and e.recorded_at > now() - interval '7 days'
            and e.recorded_at <= now() - make_interval(secs => r.wait_seconds)
        order by e.recorded_at desc
        limit r.of_messages
    ) a
) m
where r.missing_receipts > 0 and m.messages = r.of_messages and m.missing >= r.missing_receipts;

-- name: record_health
-- Stores what a node found of the connections whose leases have these epochs.
update instance_connections c
set health = w.health, health_reason = w.reason, health_since = w.since, checked_at = w.checked_at,
    latency_ms = w.latency_ms, error_rate = w.error_rate, repairs = w.repairs,
    next_repair_at = w.next_repair_at, reported = w.reported, stored = w.stored, processed = w.processed,
    last_error = case when w.health = 'unknown' then c.last_error else coalesce(w.reason, c.last_error) end,
    last_error_at = case
        when w.health = 'unknown' or w.reason is null then c.last_error_at else w.checked_at
    end
from unnest(
    %(instance_ids)s::text[], %(epochs)s::bigint[], %(healths)s::text[], %(reasons)s::text[],
    %(sinces)s::timestamptz[], %(checked_ats)s::timestamptz[], %(latencies_ms)s::int[],
    %(error_rates)s::real[], %(repairs)s::int[], %(next_repair_ats)s::timestamptz[],
    %(reported)s::bigint[], %(stored)s::bigint[], %(processed)s::bigint[]
) as w (
    instance_id, epoch, health, reason, since, checked_at, latency_ms, error_rate, repairs,
    next_repair_at, reported, stored, processed
)
join instance_leases l on l.instance_id = w.instance_id and l.epoch = w.epoch
where c.instance_id = w.instance_id;
