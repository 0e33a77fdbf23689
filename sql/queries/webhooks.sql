-- name: tell
select tell(
    %(instance_ids)s::text[], %(chats)s::text[], %(types)s::text[], %(ids)s::uuid[], %(bodies)s::text[]
) as told;

-- name: claim_lines
-- Takes chats that are due, and the oldest callbacks of each. Whoever dies with them loses them
-- when the claim is over.
with due as (
    select instance_id, chat
    from webhook_lines
    where due_at <= now()
    order by due_at
    limit %(most)s::int
    for update skip locked
), claimed as (
    update webhook_lines w
    set due_at = now() + make_interval(secs => %(claim_seconds)s::double precision),
        claim_id = %(claim_id)s::uuid, claimed_by = %(node_id)s::text
    from due
    where w.instance_id = due.instance_id and w.chat = due.chat
    returning w.instance_id, w.chat, w.attempts
)
select c.instance_id, c.chat, c.attempts as attempts_before, o.position, o.id, o.type, o.body, o.created_at,
       callback_url(i, o.type) as url, i.token_ciphertext, i.token_key_id,
       a.webhook_secret_ciphertext, a.webhook_secret_key_id
from claimed c
join instances i on i.id = c.instance_id
join accounts a on a.id = i.account_id
cross join lateral (
    select q.position, q.id, q.type, q.body, q.created_at
    from webhook_outbox q
    where q.instance_id = c.instance_id and q.chat = c.chat
    order by q.position
    limit %(per_line)s::int
) o
order by c.instance_id, c.chat, o.position;

-- name: finish_lines
-- Removes what is settled and lets the chat go on, now or after a pause; only while the claim is
-- still ours. The dead are kept.
with done as (
    select *
    from unnest(
        %(instance_ids)s::text[], %(chats)s::text[], %(claim_ids)s::uuid[], %(up_to)s::bigint[],
        %(attempts)s::smallint[], %(pauses)s::double precision[], %(errors)s::text[], %(dead)s::uuid[]
    ) as d (instance_id, chat, claim_id, up_to, attempts, pause, error, dead)
), line as materialized (
    select w.instance_id, w.chat, d.up_to, d.attempts, d.pause, d.error, d.dead,
           w.attempts as attempts_before
    from webhook_lines w
    join done d on d.instance_id = w.instance_id and d.chat = w.chat and d.claim_id = w.claim_id
    order by w.instance_id, w.chat
    for no key update of w
), settled as (
    delete from webhook_outbox o
    using line l
    where o.instance_id = l.instance_id and o.chat = l.chat and o.position <= l.up_to
    returning o.*
), buried as (
    insert into webhook_dead_letters (instance_id, id, chat, type, body, attempts, last_error, created_at)
    select s.instance_id, s.id, s.chat, s.type, s.body, l.attempts_before + 1, l.error, s.created_at
    from settled s
    join line l on l.instance_id = s.instance_id and l.chat = s.chat and l.dead = s.id
    on conflict do nothing
), counted as (
    select l.instance_id, l.chat, count(s.id) as settled
    from line l
    left join settled s on s.instance_id = l.instance_id and s.chat = l.chat
    group by l.instance_id, l.chat
)
update webhook_lines w
set pending = w.pending - c.settled,
    due_at = case
        when w.pending > c.settled then now() + make_interval(secs => l.pause)
    end,
    attempts = l.attempts, last_error = l.error, claim_id = null, claimed_by = null
from line l
join counted c on c.instance_id = l.instance_id and c.chat = l.chat
where w.instance_id = l.instance_id and w.chat = l.chat;

-- name: release_claims
-- What we had claimed in an earlier life need not wait for the claim to lapse.
update webhook_lines set due_at = now(), claim_id = null, claimed_by = null
where claimed_by = %(node_id)s::text;

-- name: next_due
select extract(epoch from min(due_at) - now())::double precision as seconds
from webhook_lines
where due_at is not null;

-- name: forget_empty_lines
delete from webhook_lines where due_at is null;

-- name: set_addresses
-- A null leaves an address as it is, an empty text removes it.
update instances
set received_callback_url = nullif(coalesce(%(received)s::text, received_callback_url), ''),
    delivery_callback_url = nullif(coalesce(%(delivery)s::text, delivery_callback_url), ''),
    message_status_callback_url = nullif(coalesce(%(message_status)s::text, message_status_callback_url), ''),
    connected_callback_url = nullif(coalesce(%(connected)s::text, connected_callback_url), ''),
    disconnected_callback_url = nullif(coalesce(%(disconnected)s::text, disconnected_callback_url), ''),
    presence_chat_callback_url = nullif(coalesce(%(presence_chat)s::text, presence_chat_callback_url), ''),
    notify_sent_by_me = coalesce(%(notify_sent_by_me)s::boolean, notify_sent_by_me)
where id = %(instance_id)s::text;
