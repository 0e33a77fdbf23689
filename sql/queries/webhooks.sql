-- Aliases: a account, b dead letter, c chosen row, d dead letter (in
-- finish_delivery_queues: result; in delete_expired_events: deleted event), e recorded event,
-- f position of a reader (in statements of delivery: further webhook), g earlier generation (in
-- finish_delivery_queues: logged attempt),
-- i instance, l locked delivery queue (in readers of events: state of the log), o and q callback in
-- the outbox, p position to store, r subscription of an account, s deleted callback (in
-- claim_delivery_queues: callback settings), t stored callback settings (in finish_delivery_queues:
-- locked delivery queue, owned or not), w delivery queue of a chat,
-- x deletions of an account.

-- name: enqueue_callbacks
select enqueue_callbacks_v2(
    %(instance_ids)s::text[], %(chats)s::text[], %(types)s::text[], %(ids)s::uuid[], %(bodies)s::text[]
) as count;

-- name: claim_delivery_queues
-- Claims delivery queues that are due and returns the oldest callbacks of each.
select * from claim_delivery_queues_v2(
    %(max_count)s::int, %(per_queue)s::int, %(claim_seconds)s::double precision, %(claim_id)s::uuid,
    %(node_id)s::text, %(blocked)s::text[], %(full_accounts)s::text[], %(max_per_source)s::int,
    %(full_sources)s::text[]
);

-- name: finish_delivery_queues
-- Deletes the callbacks that were delivered or given up, stores the latter as dead letters, and
-- makes each queue due again, now or after its pause. Changes only queues that this claim still
-- owns. Returns these queues. Logs the attempts too, in arrays of their own (`logged_`): an attempt of a
-- repeated progress only if its queue is among them, because otherwise it was logged before; none of a queue
-- that was deleted meanwhile, with the person or the instance that it belongs to.
with done as (
    -- The results as rows.
    select *
    from unnest(
        %(webhook_ids)s::uuid[], %(instance_ids)s::text[], %(chats)s::text[], %(claim_ids)s::uuid[],
        %(up_to)s::bigint[], %(progressed)s::boolean[], %(attempts)s::smallint[],
        %(pauses)s::double precision[], %(errors)s::text[], %(dead)s::uuid[], %(addresses)s::text[]
    ) as d (
        webhook_id, instance_id, chat, claim_id, up_to, progressed, attempts, pause, error, dead, address
    )
), line as materialized (
    -- Locks the delivery queues of Z-API's webhooks, so that an erasure is seen, or sees what is logged.
    -- Each partition has a statement of its own, here and below: of a join with both, sorted, Postgres 18
    -- loses the rows that it has waited for, and looking a partition up after that may end it.
    select d.*, w.claim_id = d.claim_id as is_owned, w.pending, w.failing_since,
           case when not d.progressed then w.first_attempt_at end as first_attempt_at
    from webhook_lines w
    join done d
        on d.webhook_id = w.webhook_id and d.instance_id = w.instance_id and d.chat = w.chat
    order by w.instance_id, w.chat
    for no key update of w
), further as materialized (
    -- Locks those of further webhooks.
    select d.*, w.claim_id = d.claim_id as is_owned, w.pending, w.failing_since,
           case when not d.progressed then w.first_attempt_at end as first_attempt_at
    from further_delivery_queues w
    join done d
        on d.webhook_id = w.webhook_id and d.instance_id = w.instance_id and d.chat = w.chat
    order by w.webhook_id, w.instance_id, w.chat
    for no key update of w
), there as (
    -- All of them.
    select * from line
    union all
    select * from further
), queue as (
    -- Those that this claim still owns.
    select * from there where is_owned
), logged as (
    -- Logs the attempts.
    insert into webhook_deliveries (
        instance_id, callback_id, type, chat, target, attempt, taken, status, error, answer, duration_ms,
        webhook_id
    )
    select g.instance_id, g.callback_id, g.type, g.chat, g.target, g.attempt, g.delivered, g.status, g.error,
           g.answer, g.duration_ms, g.webhook_id
    from unnest(
        %(logged_instance_ids)s::text[], %(callback_ids)s::uuid[], %(types)s::text[],
        %(logged_chats)s::text[], %(targets)s::text[], %(numbers)s::smallint[], %(delivered)s::boolean[],
        %(statuses)s::smallint[], %(logged_errors)s::text[], %(answers)s::text[], %(durations_ms)s::int[],
        %(logged_webhook_ids)s::uuid[], %(are_repeated)s::boolean[]
    ) as g (
        instance_id, callback_id, type, chat, target, attempt, delivered, status, error, answer, duration_ms,
        webhook_id, is_repeated
    )
    where exists (
        select from there t
        where t.webhook_id = g.webhook_id and t.instance_id = g.instance_id and t.chat = g.chat
            and (t.is_owned or not g.is_repeated)
    )
), deleted as (
    -- Deletes the callbacks of Z-API's webhooks that were delivered or given up.
    delete from webhook_outbox o
    using queue l
    where o.webhook_id = l.webhook_id and o.instance_id = l.instance_id and o.chat = l.chat
        and o.position <= l.up_to
    returning o.webhook_id, o.instance_id, o.chat, o.id, o.type, o.body, o.created_at
), deleted_further as (
    -- Deletes those of further webhooks.
    delete from further_outbox o
    using queue l
    where o.webhook_id = l.webhook_id and o.instance_id = l.instance_id and o.chat = l.chat
        and o.position <= l.up_to
    returning o.webhook_id, o.instance_id, o.chat, o.id, o.type, o.body, o.created_at
), finished as (
    -- All of them.
    select * from deleted
    union all
    select * from deleted_further
), given_up as (
    -- Stores those that were given up as dead letters.
    insert into webhook_dead_letters as b (
        instance_id, id, chat, type, body, attempts, last_error, created_at, first_attempt_at,
        webhook_id
    )
    select s.instance_id, s.id, s.chat, s.type, s.body, l.attempts, l.error, s.created_at,
           coalesce(l.first_attempt_at, now()), s.webhook_id
    from finished s
    join queue l
        on l.webhook_id = s.webhook_id and l.instance_id = s.instance_id and l.chat = s.chat
            and l.dead = s.id
    on conflict (instance_id, id) do update
    set status = case when b.status = 'processing' then 'failed' else b.status end,
        attempts = b.attempts + excluded.attempts, last_error = excluded.last_error, died_at = now()
), redelivered as (
    -- Marks dead letters that a retry delivered.
    update webhook_dead_letters b
    set status = 'success'
    from finished s
    join queue l
        on l.webhook_id = s.webhook_id and l.instance_id = s.instance_id and l.chat = s.chat
            and l.dead is distinct from s.id
    where b.instance_id = s.instance_id and b.id = s.id and b.status = 'processing'
), counted as (
    -- Counts the callbacks that left each delivery queue.
    select l.webhook_id, l.instance_id, l.chat, count(s.id) as finished
    from queue l
    left join finished s
        on s.webhook_id = l.webhook_id and s.instance_id = l.instance_id and s.chat = l.chat
    group by l.webhook_id, l.instance_id, l.chat
), progress as materialized (
    -- What becomes of each delivery queue.
    select l.webhook_id, l.instance_id, l.chat, l.error, l.address, l.pending - c.finished as pending,
           case
               -- Later than the begin of any claim that may still see what is deleted here: a node of
               -- the release before reads with the snapshot of its claim.
               when l.pending > c.finished then clock_timestamp() + make_interval(secs => l.pause)
           end as due_at,
           case when l.dead is null then l.attempts else 0 end as attempts,
           case
               when l.error is null and l.progressed then null
               when l.progressed or l.error is not null and l.failing_since is null then now()
               else l.failing_since
           end as failing_since,
           case
               when l.dead is null and l.attempts > 0 then coalesce(l.first_attempt_at, now())
           end as first_attempt_at
    from queue l
    join counted c
        on c.webhook_id = l.webhook_id and c.instance_id = l.instance_id and c.chat = l.chat
), changed as (
    -- Changes the delivery queues of Z-API's webhooks.
    update webhook_lines w
    set pending = p.pending, due_at = p.due_at, attempts = p.attempts, last_error = p.error,
        failing_since = p.failing_since, address = p.address, first_attempt_at = p.first_attempt_at,
        claim_id = null, claimed_by = null
    from progress p
    where w.webhook_id = p.webhook_id and w.instance_id = p.instance_id and w.chat = p.chat
    returning w.webhook_id, w.instance_id, w.chat, w.due_at
), changed_further as (
    -- Changes those of further webhooks.
    update further_delivery_queues w
    set pending = p.pending, due_at = p.due_at, attempts = p.attempts, last_error = p.error,
        failing_since = p.failing_since, address = p.address, first_attempt_at = p.first_attempt_at,
        claim_id = null, claimed_by = null
    from progress p
    where w.webhook_id = p.webhook_id and w.instance_id = p.instance_id and w.chat = p.chat
    returning w.webhook_id, w.instance_id, w.chat, w.due_at
)
select webhook_id, instance_id, chat, due_at is not null as has_more from changed
union all
select webhook_id, instance_id, chat, due_at is not null from changed_further;

-- name: wake_receiver
-- Makes every queue that waits for the receiver due: it answers again.
update delivery_queues w
set due_at = now(), address = null
from (
    select webhook_id, instance_id, chat from delivery_queues
    where address = %(receiver)s::text and claim_id is null
    for update skip locked
) waiting
where w.webhook_id = waiting.webhook_id and w.instance_id = waiting.instance_id
    and w.chat = waiting.chat;

-- name: release_claims
-- Makes the queues due that this node claimed before it was restarted, without waiting until those
-- claims lapse.
update delivery_queues set due_at = now(), claim_id = null, claimed_by = null
where claimed_by = %(node_id)s::text;

-- name: release_lost_claims
-- Makes the queues due that these claims took. No node posts from them: the answers were lost.
update delivery_queues set due_at = now(), claim_id = null, claimed_by = null
where claimed_by = %(node_id)s::text and claim_id = any(%(claim_ids)s::uuid[]);

-- name: next_due
select extract(epoch from min(due_at) - now())::double precision as seconds
from delivery_queues
where due_at is not null and (address is null or address <> all(%(blocked)s::text[]))
  and (
      cardinality(%(full_accounts)s::text[]) = 0
      or instance_id not in (
          select i.id from instances i where i.account_id = any(%(full_accounts)s::text[])
      )
  )
  and (
      cardinality(%(full_sources)s::text[]) = 0
      or webhook_id::text || ' ' || instance_id <> all(%(full_sources)s::text[])
  );

-- name: delete_empty_delivery_queues
delete from delivery_queues where due_at is null;

-- name: set_initial_data_address
-- An empty address removes it.
with removed as (
    -- Removes the address.
    delete from initial_data_webhooks
    where instance_id = %(instance_id)s::text and %(url)s::text = ''
)
insert into initial_data_webhooks (instance_id, url)
select %(instance_id)s::text, %(url)s::text where %(url)s::text <> ''
on conflict (instance_id) do update set url = excluded.url;

-- name: set_addresses
-- Sets the webhooks of an instance: null leaves one as it is, an empty text removes it. Makes the
-- waiting queues of the instance due.
with woken as (
    -- Makes the waiting delivery queues of the instance due.
    update webhook_lines w set due_at = now(), address = null, failing_since = null
    from (
        select instance_id, chat from webhook_lines
        where instance_id = %(instance_id)s::text and due_at is not null and claim_id is null
        for update skip locked
    ) waiting
    where w.instance_id = waiting.instance_id and w.chat = waiting.chat
)
update instances
set received_callback_url = nullif(coalesce(%(received)s::text, received_callback_url), ''),
    delivery_callback_url = nullif(coalesce(%(delivery)s::text, delivery_callback_url), ''),
    message_status_callback_url = nullif(coalesce(%(message_status)s::text, message_status_callback_url), ''),
    connected_callback_url = nullif(coalesce(%(connected)s::text, connected_callback_url), ''),
    disconnected_callback_url = nullif(coalesce(%(disconnected)s::text, disconnected_callback_url), ''),
    presence_chat_callback_url = nullif(coalesce(%(presence_chat)s::text, presence_chat_callback_url), ''),
    notify_sent_by_me = coalesce(%(notify_sent_by_me)s::boolean, notify_sent_by_me)
where id = %(instance_id)s::text;

-- name: set_callback_settings
-- Null leaves a setting as it is, an empty text removes an address. Makes the waiting queues of the
-- instance due, and notifies every node, as a change of the instance does.
with woken as (
    -- Makes the waiting delivery queues of the instance due.
    update webhook_lines w set due_at = now(), address = null, failing_since = null
    from (
        select instance_id, chat from webhook_lines
        where instance_id = %(instance_id)s::text and due_at is not null and claim_id is null
        for update skip locked
    ) waiting
    where w.instance_id = waiting.instance_id and w.chat = waiting.chat
), stored as (
    -- Stores the settings of an instance that exists.
    insert into callback_settings as t (
        instance_id, history_sync_url, proxy_url, message_filters, callback_type_filters
    )
    select i.id, nullif(%(history_sync)s::text, ''), nullif(%(proxy)s::text, ''),
           coalesce(%(message_filters)s::text[], '{}'), coalesce(%(callback_type_filters)s::text[], '{}')
    from instances i
    where i.id = %(instance_id)s::text
    on conflict (instance_id) do update
    set history_sync_url = nullif(coalesce(%(history_sync)s::text, t.history_sync_url), ''),
        proxy_url = nullif(coalesce(%(proxy)s::text, t.proxy_url), ''),
        message_filters = coalesce(%(message_filters)s::text[], t.message_filters),
        callback_type_filters = coalesce(%(callback_type_filters)s::text[], t.callback_type_filters)
    returning t.instance_id
)
select pg_notify('instance_changed', instance_id) from stored;

-- name: list_webhooks
-- The further webhooks of an instance, oldest first.
select id, url, types, enabled, header_names, secret_key_id is not null as has_secret, created_at
from webhooks
where instance_id = %(instance_id)s::text
    and (%(id)s::uuid is null or id = %(id)s::uuid)
order by created_at, id;

-- name: find_webhook
-- A further webhook with its sealed headers and secret, and the secrets of its account.
select f.url, f.headers_ciphertext, f.headers_key_id, f.secret_ciphertext, f.secret_key_id,
       a.webhook_secret_ciphertext, a.webhook_secret_key_id,
       a.previous_webhook_secret_ciphertext, a.previous_webhook_secret_key_id
from webhooks f
join instances i on i.id = f.instance_id
join accounts a on a.id = i.account_id
where f.instance_id = %(instance_id)s::text and f.id = %(id)s::uuid;

-- name: lock_instance_for_webhooks
-- Two requests at once must not add more webhooks than an instance may have.
select id from instances where id = %(instance_id)s::text for no key update;

-- name: count_webhooks
-- Those beside this one, which a repeated request may have added before.
select count(*) as count from webhooks
where instance_id = %(instance_id)s::text and id <> %(id)s::uuid;

-- name: add_webhook
-- Run again with the same id, it leaves the webhook as it is.
insert into webhooks (
    id, instance_id, url, types, enabled, header_names, headers_ciphertext, headers_key_id,
    secret_ciphertext, secret_key_id
)
values (
    %(id)s::uuid, %(instance_id)s::text, %(url)s::text, %(types)s::text[], %(enabled)s::boolean,
    %(header_names)s::text[], %(headers_ciphertext)s::bytea, %(headers_key_id)s::text,
    %(secret_ciphertext)s::bytea, %(secret_key_id)s::text
)
on conflict (id) do nothing;

-- name: update_webhook
-- Null leaves a column as it is; the flags say whether the types, the headers and the secret are set.
-- Makes its waiting queues due.
with woken as (
    -- Makes the waiting delivery queues of the webhook due.
    update further_delivery_queues w set due_at = now(), address = null, failing_since = null
    from (
        select webhook_id, chat from further_delivery_queues
        where webhook_id = %(id)s::uuid and instance_id = %(instance_id)s::text
            and due_at is not null and claim_id is null
        for update skip locked
    ) waiting
    where w.webhook_id = waiting.webhook_id and w.chat = waiting.chat
)
update webhooks
set url = coalesce(%(url)s::text, url), enabled = coalesce(%(enabled)s::boolean, enabled),
    types = case when %(sets_types)s::boolean then %(types)s::text[] else types end,
    header_names = case
        when %(sets_headers)s::boolean then %(header_names)s::text[] else header_names
    end,
    headers_ciphertext = case
        when %(sets_headers)s::boolean then %(headers_ciphertext)s::bytea else headers_ciphertext
    end,
    headers_key_id = case
        when %(sets_headers)s::boolean then %(headers_key_id)s::text else headers_key_id
    end,
    secret_ciphertext = case
        when %(sets_secret)s::boolean then %(secret_ciphertext)s::bytea else secret_ciphertext
    end,
    secret_key_id = case
        when %(sets_secret)s::boolean then %(secret_key_id)s::text else secret_key_id
    end
where instance_id = %(instance_id)s::text and id = %(id)s::uuid;

-- name: delete_webhook
-- What waits for it leaves its queues at their next claim.
with woken as (
    -- Makes the waiting delivery queues of the webhook due.
    update further_delivery_queues w set due_at = now(), address = null
    from (
        select webhook_id, chat from further_delivery_queues
        where webhook_id = %(id)s::uuid and instance_id = %(instance_id)s::text
            and due_at is not null and claim_id is null
        for update skip locked
    ) waiting
    where w.webhook_id = waiting.webhook_id and w.chat = waiting.chat
)
delete from webhooks
where instance_id = %(instance_id)s::text and id = %(id)s::uuid;

-- name: count_dead_letters
select count(*) as count
from webhook_dead_letters
where instance_id = %(instance_id)s::text
    and (%(status)s::text is null or status = %(status)s::text)
    and (%(type)s::text is null or type = %(type)s::text)
    and (%(webhook_id)s::uuid is null or webhook_id = %(webhook_id)s::uuid);

-- name: list_dead_letters
-- Latest first.
select id, webhook_id, chat, type, body, attempts, last_error, created_at, died_at, status, retries, first_attempt_at
from webhook_dead_letters
where instance_id = %(instance_id)s::text
    and (%(id)s::uuid is null or id = %(id)s::uuid)
    and (%(status)s::text is null or status = %(status)s::text)
    and (%(type)s::text is null or type = %(type)s::text)
    and (%(webhook_id)s::uuid is null or webhook_id = %(webhook_id)s::uuid)
order by died_at desc, id
limit %(limit)s::int offset %(offset)s::bigint;

-- name: count_dead_letters_by_error
select status, type, last_error as error, count(*) as count
from webhook_dead_letters
where instance_id = %(instance_id)s::text
    and (%(webhook_id)s::uuid is null or webhook_id = %(webhook_id)s::uuid)
group by status, type, last_error;

-- name: retry_dead_letters
-- Appends the dead letters that have a webhook to the delivery queue of their chat, under the same
-- ids, and returns how many.
with chosen as (
    -- Locks the dead letters that match and have a webhook.
    select d.instance_id, d.id
    from webhook_dead_letters d
    join instances i on i.id = d.instance_id
    where d.instance_id = %(instance_id)s::text and d.status in ('pending', 'failed')
        and (%(id)s::uuid is null or d.id = %(id)s::uuid)
        and (%(webhook_id)s::uuid is null or d.webhook_id = %(webhook_id)s::uuid)
        and case d.webhook_id
            when '00000000-0000-0000-0000-000000000000' then callback_url_v2(i, d.type) is not null
            else exists (
                select 1 from webhooks f
                where f.id = d.webhook_id and f.enabled and (f.types is null or d.type = any(f.types))
            )
        end
    order by d.created_at, d.id
    limit %(limit)s::int
    for update of d
), retried as (
    -- Marks them as being retried.
    update webhook_dead_letters d
    set status = 'processing', retries = d.retries + 1, retried_at = now()
    from chosen c
    where d.instance_id = c.instance_id and d.id = c.id
    returning d.*
)
select coalesce(append_callbacks_v2(
    array_agg(instance_id order by created_at, id), array_agg(chat order by created_at, id),
    array_agg(type order by created_at, id), array_agg(id order by created_at, id),
    array_agg(body order by created_at, id), array_agg(webhook_id order by created_at, id)
), 0) as count
from retried;

-- name: discard_dead_letter
update webhook_dead_letters
set status = 'discarded'
where instance_id = %(instance_id)s::text and id = %(id)s::uuid and status in ('pending', 'failed');

-- name: purge_dead_letters
delete from webhook_dead_letters
where instance_id = %(instance_id)s::text and status in ('success', 'discarded')
    and died_at < now() - make_interval(days => %(days)s::int);

-- name: list_deliveries
-- Latest first.
select number, webhook_id, callback_id as event_id, type, chat, target, attempt, taken as success, status, error,
       answer, duration_ms, posted_at
from webhook_deliveries
where instance_id = %(instance_id)s::text
    and (%(before)s::bigint is null or number < %(before)s::bigint)
    and (%(type)s::text is null or type = %(type)s::text)
    and (%(delivered)s::boolean is null or taken = %(delivered)s::boolean)
    and (%(callback_id)s::uuid is null or callback_id = %(callback_id)s::uuid)
    and (%(webhook_id)s::uuid is null or webhook_id = %(webhook_id)s::uuid)
order by number desc
limit %(limit)s::int;

-- name: list_failed_deliveries
-- The same of attempts that failed, by an index of their own: one plan for all parameters of
-- list_deliveries would look for them among all attempts.
select number, webhook_id, callback_id as event_id, type, chat, target, attempt, taken as success, status, error,
       answer, duration_ms, posted_at
from webhook_deliveries
where instance_id = %(instance_id)s::text and taken = false
    and (%(before)s::bigint is null or number < %(before)s::bigint)
    and (%(type)s::text is null or type = %(type)s::text)
    and (%(callback_id)s::uuid is null or callback_id = %(callback_id)s::uuid)
    and (%(webhook_id)s::uuid is null or webhook_id = %(webhook_id)s::uuid)
order by number desc
limit %(limit)s::int;

-- name: replay
-- Appends the recorded events of a time span to the delivery queues of their chats again, under the
-- same ids, oldest first: to every webhook, or to one.
with chosen as (
    -- Selects the recorded events of the time span.
    select *
    from webhook_events
    where instance_id = %(instance_id)s::text
        and created_at >= %(since)s::timestamptz and created_at < %(until)s::timestamptz
        and (%(types)s::text[] is null or type = any(%(types)s::text[]))
    order by created_at, sequence
    limit %(limit)s::int
)
select append_callbacks_v2(
           array_agg(instance_id order by sequence),
           array_agg(chat order by sequence),
           array_agg(type order by sequence),
           array_agg(case
               when %(webhook_id)s::uuid is null or %(webhook_id)s::uuid = '00000000-0000-0000-0000-000000000000' then id
               else further_callback_id_v1(%(webhook_id)s::uuid, id)
           end order by sequence),
           array_agg(body order by sequence),
           array_agg(%(webhook_id)s::uuid order by sequence)
       ) as replayed,
       count(*) as found, max(created_at) as last_at
from chosen;

-- name: count_replay
-- What a replay of the time span would choose, by type, the oldest up to a limit.
select type, count(*) as count
from (
    select type from webhook_events
    where instance_id = %(instance_id)s::text
        and created_at >= %(since)s::timestamptz and created_at < %(until)s::timestamptz
    order by created_at
    limit %(limit)s::int
) chosen
group by type
order by count(*) desc, type;

-- name: delete_expired_deliveries
delete from webhook_deliveries
where ctid = any(array(
    select ctid from webhook_deliveries
    where posted_at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
));

-- name: delete_expired_events
-- Returns a row for each deleted event, and notes per account how far they were deleted: a reader that
-- had not read as far has missed some.
with deleted as (
    -- Deletes a batch.
    delete from webhook_events
    where ctid = any(array(
        select ctid from webhook_events
        where created_at < now() - make_interval(days => %(days)s::int)
        limit %(max_count)s::int
    ))
    returning account_id, position
), account as (
    -- Locks the accounts: a row of event_log_expiry must not outlive its account.
    select a.id
    from accounts a
    where a.id in (select account_id from deleted where position > 0)
    order by a.id
    for key share
), noted as (
    -- Stores how far the events of each account were deleted.
    insert into event_log_expiry as x (account_id, position)
    select d.account_id, max(d.position)
    from deleted d
    join account on account.id = d.account_id
    group by d.account_id
    on conflict (account_id) do update set position = greatest(x.position, excluded.position)
)
select from deleted;

-- name: delete_expired_dead_letters
delete from webhook_dead_letters
where ctid = any(array(
    select ctid from webhook_dead_letters
    where died_at < now() - make_interval(days => %(days)s::int) and status <> 'processing'
    limit %(max_count)s::int
));

-- name: find_secrets
select webhook_secret_ciphertext, webhook_secret_key_id,
       previous_webhook_secret_ciphertext, previous_webhook_secret_key_id
from accounts
where id = %(account_id)s::text;

-- name: rotate_secret
-- The previous secret goes on signing beside the new one until it is retired. Repeated with the same
-- secret, it changes nothing: otherwise the previous secret would be replaced by the new one.
update accounts
set previous_webhook_secret_ciphertext = webhook_secret_ciphertext,
    previous_webhook_secret_key_id = webhook_secret_key_id,
    webhook_secret_ciphertext = %(ciphertext)s::bytea, webhook_secret_key_id = %(key_id)s::text
where id = %(account_id)s::text and webhook_secret_ciphertext is distinct from %(ciphertext)s::bytea;

-- name: retire_secret
update accounts
set previous_webhook_secret_ciphertext = null, previous_webhook_secret_key_id = null
where id = %(account_id)s::text;

-- name: assign_event_positions
select generation, last_position, assigned, busy from assign_event_positions_v1(%(max_count)s::int);

-- name: subscribe
-- Stores every event of the accounts from now on, with or without webhooks. Returns the current
-- position.
with subscription as (
    -- Creates the subscription, or extends it.
    insert into event_roads as r (name, account_id, wanted_until, transaction_id, sequence)
    select %(name)s::text, a.id, now() + make_interval(days => %(days)s::int),
           l.generation, l.last_position
    from accounts a, event_log l
    where a.id = any(%(account_ids)s::text[])
    order by a.id
    on conflict (account_id, name) do update set wanted_until = excluded.wanted_until
    returning 1
)
select l.generation, l.last_position as number
from event_log l, (select count(*) from subscription) made;

-- name: read_events
-- Returns the events after each position. A position of another generation gets none: resume_positions
-- translates it first.
select f.reader, f.generation, e.position as number, e.instance_id, e.chat, e.id, e.type, e.body
from unnest(
    %(readers)s::int[], %(account_ids)s::text[], %(generations)s::bigint[], %(numbers)s::bigint[]
) as f (reader, account_id, generation, number)
join event_log l on l.generation = f.generation
cross join lateral (
    select e.*
    from webhook_events e
    where e.account_id = f.account_id and e.position > f.number and e.position > 0
    order by e.position
    limit %(max_count)s::int
) e
order by f.reader, e.position;

-- name: read_old_events
-- Returns the events that were written before positions existed, after each position of that time:
-- a transaction id and a sequence number.
select f.reader, e.transaction_id as generation, e.sequence as number, e.instance_id, e.chat, e.id,
       e.type, e.body
from unnest(
    %(readers)s::int[], %(account_ids)s::text[], %(generations)s::bigint[], %(numbers)s::bigint[]
) as f (reader, account_id, transaction_id, sequence)
cross join lateral (
    select e.*
    from webhook_events e, event_log l
    where e.account_id = f.account_id and e.position = 0
        and (e.transaction_id, e.sequence) > (f.transaction_id, f.sequence)
        and e.transaction_id < l.first_transaction_id
    order by e.transaction_id, e.sequence
    limit %(max_count)s::int
) e
order by f.reader, e.transaction_id, e.sequence;

-- name: resume_positions
-- Translates each position into one of the current generation, and says what is missing between both:
-- `expired` means that events were deleted because of their age, `restored` that the reader has seen
-- events that this database does not have.
--
-- A position of an earlier generation counts up to the end of that generation. A generation that is not
-- known here began in another copy of this database; both copies agree up to the current generation.
--
-- A transaction id and a sequence number are a position of the release before. If its transaction is
-- older than the positions, or of another server, every event with a position comes later. Otherwise a
-- node of that release read by transaction ids beside this one: the reader goes on before the first
-- event that such a node would have read next. It may read some events again.
with found as (
    -- The number in the current generation, and whether the reader has seen more.
    select f.*, l.generation as current,
           case
               when f.generation < %(first_generation)s::bigint then case
                   when f.generation < l.first_transaction_id
                       or f.generation >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
                   then 0
                   else coalesce((
                       select min(case
                                  when e.transaction_id = f.generation and e.sequence = f.number
                                  then e.position
                                  else e.position - 1
                              end)
                       from webhook_events e
                       where e.account_id = f.account_id and e.position > 0
                           and (e.transaction_id, e.sequence) >= (f.generation, f.number)
                   ), l.last_position)
               end
               when f.generation = l.generation then least(f.number, l.last_position)
               else least(f.number, coalesce(g.last_position, l.after_position))
           end as resumed,
           f.generation >= %(first_generation)s::bigint and case
               when f.generation = l.generation then f.number > l.last_position
               else g.last_position is null or f.number > g.last_position
           end as is_ahead
    from event_log l
    cross join unnest(
        %(readers)s::int[], %(account_ids)s::text[], %(generations)s::bigint[], %(numbers)s::bigint[]
    ) as f (reader, account_id, generation, number)
    left join event_log_generations g on g.generation = f.generation
)
select f.reader, f.current as generation, f.resumed as number,
       case when f.is_ahead then 'restored' when x.position > f.resumed then 'expired' end as missing
from found f
left join event_log_expiry x on x.account_id = f.account_id
order by f.reader;

-- name: acquire_subscriptions
-- Makes this node the consumer of the accounts whose events no other node consumes now.
update event_roads r
set node_id = %(node_id)s::text, held_until = now() + make_interval(secs => %(seconds)s::double precision)
from (
    select account_id, name
    from event_roads
    where name = %(name)s::text and account_id = any(%(account_ids)s::text[])
        and (node_id is null or node_id = %(node_id)s::text or held_until < now())
    order by account_id
    for update skip locked
) free
where r.account_id = free.account_id and r.name = free.name
returning r.account_id, r.transaction_id as generation, r.sequence as number;

-- name: commit_positions
update event_roads r
set transaction_id = p.generation, sequence = p.number
from unnest(
    %(account_ids)s::text[], %(generations)s::bigint[], %(numbers)s::bigint[]
) as p (account_id, generation, number)
where r.account_id = p.account_id and r.name = %(name)s::text and r.node_id = %(node_id)s::text;
