-- Claims delivery queues that are due and returns the oldest callbacks of each. Skips the queues of
-- blocked receivers, of accounts with enough requests in flight, and of full_sources: the webhooks of
-- an instance, or a further one, with enough of them. Claims max_per_source of each of the others, and
-- looks at 4 * max_count queues for that. So the many chats of one instance, whose receiver may hang, do
-- not fill the claim. The claims of a node that dies lapse after claim_seconds.
--
-- The first statement locks and claims. The second one has a snapshot of its own. With the snapshot of
-- the first it would read callbacks again that another claim of the queue finished, and deleted, between
-- that snapshot and the lock; they would be posted twice.
--
-- Aliases: a account, c candidate (then claimed delivery queue), f further webhook, i instance, o and q
-- callback in the outbox, s callback settings, t numbered candidate, w delivery queue.
create or replace function claim_delivery_queues_v2(
    max_count int, per_queue int, claim_seconds double precision, claim_id uuid, node_id text,
    blocked text[], full_accounts text[], max_per_source int, full_sources text[]
)
returns table (
    webhook_id uuid, instance_id text, chat text, attempts_before smallint, failing_seconds double precision,
    "position" bigint, id uuid, type text, body text, created_at timestamptz, account_id text, url text,
    filters text[], token_ciphertext bytea, token_key_id text, headers_ciphertext bytea, headers_key_id text,
    secret_ciphertext bytea, secret_key_id text, webhook_secret_ciphertext bytea, webhook_secret_key_id text,
    previous_webhook_secret_ciphertext bytea, previous_webhook_secret_key_id text
)
language plpgsql as $$
#variable_conflict use_column
declare
    webhook_ids uuid[];
    instance_ids text[];
    chats text[];
    attempts smallint[];
    failing_since timestamptz[];
begin
    with candidate as (
        -- Reads the delivery queues that are due the longest and whose receiver is not blocked.
        select webhook_id, instance_id, chat, due_at
        from delivery_queues
        where due_at <= now() and (address is null or address <> all(blocked))
            and (
                cardinality(full_accounts) = 0
                or instance_id not in (select i.id from instances i where i.account_id = any(full_accounts))
            )
            and (cardinality(full_sources) = 0 or webhook_id::text || ' ' || instance_id <> all(full_sources))
        order by due_at
        limit 4 * max_count
    ), turn as (
        -- Numbers those of each webhook of an instance.
        select c.*, row_number() over (partition by c.webhook_id, c.instance_id order by c.due_at) as number
        from candidate c
    ), due as (
        -- Locks the first of each; another claim may have taken some meanwhile.
        select w.webhook_id, w.instance_id, w.chat
        from delivery_queues w
        join turn t on t.webhook_id = w.webhook_id and t.instance_id = w.instance_id and t.chat = w.chat
        where t.number <= max_per_source and w.due_at <= now()
        order by t.due_at
        limit max_count
        for update of w skip locked
    ), claimed as (
        -- Claims them.
        update delivery_queues w
        set due_at = now() + make_interval(secs => claim_seconds),
            claim_id = claim_delivery_queues_v2.claim_id, claimed_by = node_id
        from due
        where w.webhook_id = due.webhook_id and w.instance_id = due.instance_id and w.chat = due.chat
        returning w.webhook_id, w.instance_id, w.chat, w.attempts, w.failing_since
    )
    select array_agg(c.webhook_id), array_agg(c.instance_id), array_agg(c.chat), array_agg(c.attempts),
           array_agg(c.failing_since)
    into webhook_ids, instance_ids, chats, attempts, failing_since
    from claimed c;
    if webhook_ids is null then
        return;
    end if;
    return query
    select c.webhook_id, c.instance_id, c.chat, c.attempts,
           extract(epoch from now() - c.failing_since)::double precision,
           o.position, o.id, o.type, o.body, o.created_at, i.account_id,
           case c.webhook_id
               when '00000000-0000-0000-0000-000000000000' then callback_url_v2(i, o.type)
               else f.url
           end,
           coalesce(s.message_filters || s.callback_type_filters, '{}'),
           i.token_ciphertext, i.token_key_id,
           f.headers_ciphertext, f.headers_key_id, f.secret_ciphertext, f.secret_key_id,
           a.webhook_secret_ciphertext, a.webhook_secret_key_id,
           a.previous_webhook_secret_ciphertext, a.previous_webhook_secret_key_id
    from unnest(webhook_ids, instance_ids, chats, attempts, failing_since)
        as c (webhook_id, instance_id, chat, attempts, failing_since)
    join instances i on i.id = c.instance_id
    join accounts a on a.id = i.account_id
    left join webhooks f on f.id = c.webhook_id and f.enabled
    left join callback_settings s on s.instance_id = i.id
    cross join lateral (
        select q.position, q.id, q.type, q.body, q.created_at
        from callback_outbox q
        where q.webhook_id = c.webhook_id and q.instance_id = c.instance_id and q.chat = c.chat
        order by q.position
        limit per_queue
    ) o
    order by c.webhook_id, c.instance_id, c.chat, o.position;
end
$$;
