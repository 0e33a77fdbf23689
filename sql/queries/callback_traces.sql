-- Aliases: b dead letter, c callback, d attempt to post it, e recorded event, f further webhook, i instance, o callback
-- in the outbox, t time, u url, w webhook or delivery queue.

-- name: find_message_events
-- Recorded events that may be about a message. The transaction that records a message, or the failure
-- of an attempt, writes its events too, so they have its time. Events of receipts are looked for from
-- the time of each receipt on, among max_examined events of the instance.
select distinct on (id) id, type, chat, body, created_at
from (
    select e.id, e.type, e.chat, e.body, e.created_at
    from unnest(%(recorded_ats)s::timestamptz[]) as t (at)
    join webhook_events e on e.instance_id = %(instance_id)s::text and e.created_at = t.at
    union all
    select e.id, e.type, e.chat, e.body, e.created_at
    from unnest(%(receipt_ats)s::timestamptz[]) as t (at)
    cross join lateral (
        select * from (
            select * from webhook_events
            where instance_id = %(instance_id)s::text and created_at >= t.at - interval '1 second'
            order by created_at
            limit %(max_examined)s::int
        ) examined
        where type = 'MessageStatusCallback' and chat = any(%(chats)s::text[])
        limit %(max_found)s::int
    ) e
) found
order by id;

-- name: trace_callbacks
-- What became of events at each webhook of the instance. An event that a webhook did not get has no
-- row. Of the callbacks that wait for a webhook in a chat it looks at the first max_examined.
with webhook as materialized (
    -- Z-API's webhooks, and the further ones.
    select '00000000-0000-0000-0000-000000000000'::uuid as id, null::text as url
    union all
    select f.id, f.url from webhooks f where f.instance_id = %(instance_id)s::text
), wanted as materialized (
    -- Each event under the id that each webhook gets.
    select c.event_id, w.id as webhook_id, c.chat, coalesce(w.url, callback_url_v2(i, c.type)) as url,
           case when w.url is null then c.event_id else further_callback_id_v1(w.id, c.event_id) end as id
    from unnest(%(event_ids)s::uuid[], %(chats)s::text[], %(types)s::text[]) as c (event_id, chat, type)
    join instances i on i.id = %(instance_id)s::text
    cross join webhook w
)
select c.event_id, c.webhook_id, c.id, coalesce(latest.target, c.url) as url,
       waiting.position is not null as is_waiting, w.due_at, w.last_error as queue_failure,
       b.status as dead_letter, b.last_error as dead_letter_failure,
       coalesce(counted.attempts, b.attempts, 0)::int as attempts, counted.delivered_at,
       latest.status as http_status, latest.error as failure
from wanted c
left join lateral (
    select examined.position
    from (
        select o.position, o.id from callback_outbox o
        where o.webhook_id = c.webhook_id and o.instance_id = %(instance_id)s::text and o.chat = c.chat
        order by o.position
        limit %(max_examined)s::int
    ) examined
    where examined.id = c.id
    limit 1
) waiting on true
left join delivery_queues w
    on w.webhook_id = c.webhook_id and w.instance_id = %(instance_id)s::text and w.chat = c.chat
left join webhook_dead_letters b on b.instance_id = %(instance_id)s::text and b.id = c.id
left join lateral (
    select nullif(count(*), 0) as attempts, min(d.posted_at) filter (where d.taken) as delivered_at
    from webhook_deliveries d
    where d.callback_id = c.id and d.instance_id = %(instance_id)s::text
) counted on true
left join lateral (
    select d.target, d.status, d.error
    from webhook_deliveries d
    where d.callback_id = c.id and d.instance_id = %(instance_id)s::text
    order by d.number desc
    limit 1
) latest on true
where waiting.position is not null or b.id is not null or counted.attempts > 0
order by c.event_id, c.webhook_id;

-- name: list_waiting_queues
-- Delivery queues with callbacks that wait, by chat, with the first callback of each.
select w.webhook_id, w.chat, w.pending, w.due_at, w.attempts, w.last_error as failure, w.failing_since,
       w.claim_id is not null as is_claimed, o.id as event_id, o.type, o.created_at,
       coalesce(f.url, callback_url_v2(i, o.type)) as url
from (
    select * from delivery_queues
    where instance_id = %(instance_id)s::text and pending > 0
        and (chat, webhook_id) > (%(after)s::text, %(after_webhook)s::uuid)
        and (%(webhook_id)s::uuid is null or webhook_id = %(webhook_id)s::uuid)
    order by chat, webhook_id
    limit %(limit)s::int
) w
join instances i on i.id = w.instance_id
left join webhooks f on f.id = w.webhook_id
left join lateral (
    select id, type, created_at from callback_outbox
    where webhook_id = w.webhook_id and instance_id = w.instance_id and chat = w.chat
    order by position
    limit 1
) o on true
order by w.chat, w.webhook_id;

-- name: list_webhook_states
-- What waits for each webhook of an instance, and how its failing delivery queues stand.
select w.webhook_id, sum(w.pending)::bigint as waiting, count(*) as chats,
       count(w.failing_since) as failing_chats, min(w.failing_since) as failing_since,
       coalesce(max(w.attempts) filter (where w.failing_since is not null), 0) as attempts,
       min(w.due_at) filter (where w.failing_since is not null and w.claim_id is null)
           as next_attempt_at,
       (array_agg(w.last_error order by w.failing_since)
           filter (where w.failing_since is not null and w.last_error is not null))[1] as error,
       coalesce(
           array_agg(distinct coalesce(
               substring(f.url from '^https?://([^/?#]+)'), split_part(w.address, ' ', 2)
           )) filter (where w.address is not null),
           '{}'
       ) as open_circuits
from delivery_queues w
left join webhooks f on f.id = w.webhook_id
where w.instance_id = %(instance_id)s::text and w.pending > 0
group by w.webhook_id
order by w.webhook_id;

-- name: list_callback_attempts
-- The attempts to post one callback, the latest first.
select number, webhook_id, callback_id as event_id, type, chat, target, attempt, taken as success, status,
       error, answer, duration_ms, posted_at
from webhook_deliveries
where callback_id = %(id)s::uuid and instance_id = %(instance_id)s::text
order by number desc
limit %(limit)s::int;

-- name: find_waiting_callback
-- A callback that waits, among max_examined of the instance.
select webhook_id, chat, type, body, created_at, 'waiting' as status, null::text as failure
from (
    select * from callback_outbox
    where instance_id = %(instance_id)s::text
    order by chat
    limit %(max_examined)s::int
) o
where id = %(id)s::uuid
limit 1;

-- name: find_dead_callback
-- A callback that was given up once; a retry may have delivered it.
select webhook_id, chat, type, body, created_at,
       case status when 'success' then 'delivered' when 'discarded' then 'discarded'
                   when 'processing' then 'waiting' else 'dead' end as status,
       last_error as failure
from webhook_dead_letters
where instance_id = %(instance_id)s::text and id = %(id)s::uuid;

-- name: find_recorded_callback
-- A callback in the log of events, among the max_examined events before its first attempt.
select %(webhook_id)s::uuid as webhook_id, chat, type, body, created_at
from (
    select * from webhook_events
    where instance_id = %(instance_id)s::text and created_at <= %(at)s::timestamptz
    order by created_at desc
    limit %(max_examined)s::int
) e
where %(id)s::uuid in (e.id, further_callback_id_v1(%(webhook_id)s::uuid, e.id))
limit 1;
