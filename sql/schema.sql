-- Made by `make schema` from sql/migrations and sql/functions.

CREATE SCHEMA baileys;

CREATE SCHEMA sandbox;

CREATE SCHEMA whatsmeow;

CREATE FUNCTION public.announce_account_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('account_changed', coalesce(new.id, old.id));

return null;

end
$$;

CREATE FUNCTION public.announce_instance_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('instance_changed', coalesce(new.id, old.id));

return null;

end
$$;

CREATE FUNCTION public.append_callbacks(instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]) RETURNS bigint
    LANGUAGE sql
    AS $$
    with wanted as (
        select c.*,
               row_number() over (partition by c.instance_id, c.chat order by c.turn) as nth,
               count(*) over (partition by c.instance_id, c.chat) as together
        from unnest(instance_ids, chats, types, ids, bodies) with ordinality
            as c (instance_id, chat, type, id, body, turn)
        join instances i on i.id = c.instance_id
        where callback_url(i, c.type) is not null
    ), line as (
        insert into webhook_lines as w (instance_id, chat, pending, next_position, due_at)
        select instance_id, chat, count(*), 1 + count(*), now()
        from wanted
        group by instance_id, chat
        order by instance_id, chat
        on conflict (instance_id, chat) do update
        set pending = w.pending + excluded.pending,
            next_position = w.next_position + excluded.pending,
            due_at = coalesce(w.due_at, now())
        returning w.instance_id, w.chat, w.next_position
    ), added as (
        insert into webhook_outbox (instance_id, chat, position, id, type, body)
        select c.instance_id, c.chat, l.next_position - 1 - c.together + c.nth, c.id, c.type, c.body
        from wanted c
        join line l on l.instance_id = c.instance_id and l.chat = c.chat
        returning 1
    )
    select count(*) from added
$$;

CREATE FUNCTION public.append_callbacks_v1(instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]) RETURNS bigint
    LANGUAGE sql
    AS $$
    with deliverable as (
        -- The callbacks that have an address, numbered within their chat.
        select c.*,
               row_number() over (partition by c.instance_id, c.chat order by c.turn) as nth,
               count(*) over (partition by c.instance_id, c.chat) as together
        from unnest(instance_ids, chats, types, ids, bodies) with ordinality
            as c (instance_id, chat, type, id, body, turn)
        join instances i on i.id = c.instance_id
        where callback_url_v1(i, c.type) is not null
    ), chat_queue as (
        -- Locks each chat's delivery queue, or creates it, and reserves positions at its end.
        insert into webhook_lines as w (instance_id, chat, pending, next_position, due_at)
        select instance_id, chat, count(*), 1 + count(*), now()
        from deliverable
        group by instance_id, chat
        order by instance_id, chat
        on conflict (instance_id, chat) do update
        set pending = w.pending + excluded.pending,
            next_position = w.next_position + excluded.pending,
            due_at = coalesce(w.due_at, now())
        returning w.instance_id, w.chat, w.next_position
    ), appended as (
        -- Writes the callbacks at the reserved positions.
        insert into webhook_outbox (instance_id, chat, position, id, type, body)
        select c.instance_id, c.chat, l.next_position - 1 - c.together + c.nth, c.id, c.type, c.body
        from deliverable c
        join chat_queue l on l.instance_id = c.instance_id and l.chat = c.chat
        returning 1
    )
    select count(*) from appended
$$;

CREATE FUNCTION public.append_callbacks_v2(instance_ids text[], chats text[], types text[], ids uuid[], bodies text[], webhook_ids uuid[]) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
    own_count bigint;

further_count bigint := 0;

begin
    with target as (
        -- The callbacks that the webhook of their type gets, numbered within their delivery queue.
        select c.instance_id, c.chat, c.type, c.body, c.id,
               row_number() over (partition by c.instance_id, c.chat order by c.turn) as nth,
               count(*) over (partition by c.instance_id, c.chat) as together
        from unnest(instance_ids, chats, types, ids, bodies, webhook_ids) with ordinality
            as c (instance_id, chat, type, id, body, webhook_id, turn)
        join instances i on i.id = c.instance_id
        where callback_url_v2(i, c.type) is not null
            and coalesce(c.webhook_id, '00000000-0000-0000-0000-000000000000')
                = '00000000-0000-0000-0000-000000000000'
    ), chat_queue as (
        -- Locks each chat's delivery queue, or creates it, and reserves positions at its end.
        insert into webhook_lines as w (instance_id, chat, pending, next_position, due_at)
        select instance_id, chat, count(*), 1 + count(*), clock_timestamp()
        from target
        group by instance_id, chat
        order by instance_id, chat
        on conflict (instance_id, chat) do update
        set pending = w.pending + excluded.pending,
            next_position = w.next_position + excluded.pending,
            due_at = coalesce(w.due_at, clock_timestamp())
        returning w.instance_id, w.chat, w.next_position
    ), appended as (
        -- Writes the callbacks at the reserved positions.
        insert into webhook_outbox (instance_id, chat, position, id, type, body)
        select c.instance_id, c.chat, l.next_position - 1 - c.together + c.nth, c.id, c.type, c.body
        from target c
        join chat_queue l on l.instance_id = c.instance_id and l.chat = c.chat
        returning 1
    )
    select count(*) into own_count from appended;

if exists (select from webhooks f where f.instance_id = any(instance_ids) and f.enabled) then
        with target as (
            -- Each callback once for each further webhook that gets it, numbered within its delivery queue.
            select c.instance_id, f.id as webhook_id, c.chat, c.type, c.body,
                   case
                       when c.webhook_id is null then further_callback_id_v1(f.id, c.id)
                       else c.id
                   end as id,
                   row_number() over (partition by f.id, c.chat order by c.turn) as nth,
                   count(*) over (partition by f.id, c.chat) as together
            from unnest(instance_ids, chats, types, ids, bodies, webhook_ids) with ordinality
                as c (instance_id, chat, type, id, body, webhook_id, turn)
            join webhooks f
                on f.instance_id = c.instance_id and f.enabled and (f.types is null or c.type = any(f.types))
            where c.webhook_id is null or c.webhook_id = f.id
        ), chat_queue as (
            -- Locks each chat's delivery queue, or creates it, and reserves positions at its end.
            insert into further_delivery_queues as w (
                webhook_id, instance_id, chat, pending, next_position, due_at
            )
            select webhook_id, instance_id, chat, count(*), 1 + count(*), clock_timestamp()
            from target
            group by webhook_id, instance_id, chat
            order by webhook_id, chat
            on conflict (webhook_id, chat) do update
            set pending = w.pending + excluded.pending,
                next_position = w.next_position + excluded.pending,
                due_at = coalesce(w.due_at, clock_timestamp())
            returning w.webhook_id, w.chat, w.next_position
        ), appended as (
            -- Writes the callbacks at the reserved positions.
            insert into further_outbox (webhook_id, instance_id, chat, position, id, type, body)
            select c.webhook_id, c.instance_id, c.chat, l.next_position - 1 - c.together + c.nth,
                   c.id, c.type, c.body
            from target c
            join chat_queue l on l.webhook_id = c.webhook_id and l.chat = c.chat
            returning 1
        )
        select count(*) into further_count from appended;

end if;

return own_count + further_count;

end
$$;

CREATE FUNCTION public.assert_lease_v1(instance_id text, epoch bigint) RETURNS void
    LANGUAGE plpgsql
    AS $$
begin
    perform from instance_leases l
    where l.instance_id = assert_lease_v1.instance_id and l.epoch = assert_lease_v1.epoch
    for share;

if not found then
        raise exception 'the lease of instance % has another epoch than %',
            assert_lease_v1.instance_id, assert_lease_v1.epoch
            using errcode = 'object_not_in_prerequisite_state';

end if;

end
$$;

CREATE FUNCTION public.assign_event_positions_v1(max_count integer) RETURNS TABLE(generation bigint, last_position bigint, assigned integer, busy boolean)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET jit TO 'off'
    AS $$
#variable_conflict use_column
declare
    log event_log;

this_server text := event_log_server_v1();

oldest bigint;

found_count int;

begin
    select l.* into strict log from event_log l;

if log.server is not distinct from coalesce(this_server, log.server) and not exists (
        select from webhook_events e
        where e.position is null
            and e.transaction_id >= case when this_server is null then 0 else log.oldest_transaction_id end
    ) then
        return query select log.generation, log.last_position, 0, false;

return;

end if;

select l.* into log from event_log l for update skip locked;

if not found then
        return query select l.generation, l.last_position, 0, true from event_log l;

return;

end if;

if log.server is distinct from coalesce(this_server, log.server) then
        if log.server is not null then
            insert into event_log_generations as g (generation, last_position)
            values (log.generation, log.last_position);

log.generation := 100000000000000000
                + ('x' || left(replace(gen_random_uuid()::text, '-', ''), 15))::bit(60)::bigint
                    % 899999999999999999;

log.after_position := log.last_position;

end if;

log.server := this_server;

log.oldest_transaction_id := 0;

end if;

if this_server is null then
        log.oldest_transaction_id := 0;

end if;

with waiting as materialized (
        -- The oldest events without a position, and the oldest transaction that may write others.
        select e.account_id, e.transaction_id, e.sequence
        from webhook_events e
        where e.position is null and e.transaction_id >= log.oldest_transaction_id
        order by e.transaction_id, e.sequence
        limit max_count
    ), numbered as (
        -- The order of inserts: a transaction that inserts after another's commit comes later.
        select w.*, log.last_position + row_number() over (order by w.sequence) as position
        from waiting w
    ), positioned as (
        -- Stores the positions.
        update webhook_events e
        set position = n.position
        from numbered n
        where e.account_id = n.account_id and e.transaction_id = n.transaction_id
            and e.sequence = n.sequence
    )
    select count(*),
           least(
               pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
               case when count(*) = max_count then max(transaction_id) end
           )
    into found_count, oldest
    from waiting;

if this_server is not null then
        log.oldest_transaction_id := oldest;

end if;

update event_log l
    set generation = log.generation, after_position = log.after_position, server = log.server,
        last_position = log.last_position + found_count,
        oldest_transaction_id = log.oldest_transaction_id;

return query select log.generation, log.last_position + found_count, found_count, false;

end
$$;

CREATE TABLE public.instances (
    id text NOT NULL,
    account_id text NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    token_ciphertext bytea NOT NULL,
    token_key_id text NOT NULL,
    provider text NOT NULL,
    provider_settings jsonb DEFAULT '{}'::jsonb NOT NULL,
    session_name text,
    is_device boolean DEFAULT false NOT NULL,
    business_device boolean DEFAULT false NOT NULL,
    demo boolean DEFAULT false NOT NULL,
    wanted boolean DEFAULT true NOT NULL,
    pace_min_seconds double precision,
    pace_max_seconds double precision,
    received_callback_url text,
    delivery_callback_url text,
    message_status_callback_url text,
    connected_callback_url text,
    disconnected_callback_url text,
    presence_chat_callback_url text,
    notify_sent_by_me boolean DEFAULT false NOT NULL,
    call_reject_auto boolean DEFAULT false NOT NULL,
    call_reject_message text,
    auto_read_message boolean DEFAULT false NOT NULL,
    auto_read_status boolean DEFAULT false NOT NULL,
    disable_enqueue_when_disconnected boolean DEFAULT false NOT NULL,
    trial_ends_at timestamp with time zone,
    subscribed boolean DEFAULT false NOT NULL,
    with_calls boolean DEFAULT false NOT NULL,
    canceled_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    daily_limit integer,
    warm_up_days integer,
    warm_up_from timestamp with time zone,
    proxy_ciphertext bytea,
    proxy_key_id text,
    CONSTRAINT daily_limit_is_a_number CHECK ((daily_limit >= 0)),
    CONSTRAINT pace_is_a_range CHECK ((((pace_min_seconds IS NULL) = (pace_max_seconds IS NULL)) AND ((pace_min_seconds IS NULL) OR (((0)::double precision <= pace_min_seconds) AND (pace_min_seconds <= pace_max_seconds))))),
    CONSTRAINT proxy_is_sealed CHECK (((proxy_ciphertext IS NULL) = (proxy_key_id IS NULL))),
    CONSTRAINT warm_up_is_a_number CHECK ((warm_up_days >= 0))
);

COMMENT ON COLUMN public.instances.trial_ends_at IS 'Who is not subscribed sends until then; a cancelled subscription sets it anew.';

COMMENT ON COLUMN public.instances.daily_limit IS 'Messages per day (UTC); 0 is no limit, null the service''s own.';

COMMENT ON COLUMN public.instances.warm_up_from IS 'From then on the daily limit grows to its full height; null is the making of the instance.';

COMMENT ON COLUMN public.instances.proxy_ciphertext IS 'The whole configuration: its URL may hold a password.';

CREATE FUNCTION public.callback_url(i public.instances, type text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    select case type
        when 'ConnectedCallback' then i.connected_callback_url
        when 'DeliveryCallback' then i.delivery_callback_url
        when 'DisconnectedCallback' then i.disconnected_callback_url
        when 'MessageStatusCallback' then i.message_status_callback_url
        when 'PresenceChatCallback' then i.presence_chat_callback_url
        when 'ReceivedCallback' then i.received_callback_url
    end
$$;

CREATE FUNCTION public.callback_url_v1(i public.instances, type text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    select case type
        when 'ConnectedCallback' then i.connected_callback_url
        when 'DeliveryCallback' then i.delivery_callback_url
        when 'DisconnectedCallback' then i.disconnected_callback_url
        when 'MessageStatusCallback' then i.message_status_callback_url
        when 'PresenceChatCallback' then i.presence_chat_callback_url
        when 'ReceivedCallback' then i.received_callback_url
    end
$$;

CREATE FUNCTION public.callback_url_v2(i public.instances, type text) RETURNS text
    LANGUAGE plpgsql STABLE
    AS $$
begin
    case type
        when 'ConnectedCallback' then return i.connected_callback_url;

when 'DeliveryCallback' then return i.delivery_callback_url;

when 'DisconnectedCallback' then return i.disconnected_callback_url;

when 'MessageStatusCallback' then return i.message_status_callback_url;

when 'PresenceChatCallback' then return i.presence_chat_callback_url;

when 'ReceivedCallback' then return i.received_callback_url;

when 'HistorySyncCallback' then return (
            select s.history_sync_url from callback_settings s where s.instance_id = i.id
        );

when 'ProxyFailureCallback' then return (
            select s.proxy_url from callback_settings s where s.instance_id = i.id
        );

else return null;

end case;

end
$$;

CREATE FUNCTION public.claim_delivery_queues_v1(max_count integer, per_queue integer, claim_seconds double precision, claim_id uuid, node_id text, blocked text[], full_accounts text[]) RETURNS TABLE(webhook_id uuid, instance_id text, chat text, attempts_before smallint, failing_seconds double precision, "position" bigint, id uuid, type text, body text, created_at timestamp with time zone, account_id text, url text, filters text[], token_ciphertext bytea, token_key_id text, headers_ciphertext bytea, headers_key_id text, secret_ciphertext bytea, secret_key_id text, webhook_secret_ciphertext bytea, webhook_secret_key_id text, previous_webhook_secret_ciphertext bytea, previous_webhook_secret_key_id text)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
    webhook_ids uuid[];

instance_ids text[];

chats text[];

attempts smallint[];

failing_since timestamptz[];

begin
    with due as (
        -- Locks the delivery queues that are due and whose receiver is not blocked.
        select webhook_id, instance_id, chat
        from delivery_queues
        where due_at <= now() and (address is null or address <> all(blocked))
            and (
                cardinality(full_accounts) = 0
                or instance_id not in (select i.id from instances i where i.account_id = any(full_accounts))
            )
        order by due_at
        limit max_count
        for update skip locked
    ), claimed as (
        -- Claims them.
        update delivery_queues w
        set due_at = now() + make_interval(secs => claim_seconds),
            claim_id = claim_delivery_queues_v1.claim_id, claimed_by = node_id
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

CREATE FUNCTION public.claim_delivery_queues_v2(max_count integer, per_queue integer, claim_seconds double precision, claim_id uuid, node_id text, blocked text[], full_accounts text[], max_per_source integer, full_sources text[]) RETURNS TABLE(webhook_id uuid, instance_id text, chat text, attempts_before smallint, failing_seconds double precision, "position" bigint, id uuid, type text, body text, created_at timestamp with time zone, account_id text, url text, filters text[], token_ciphertext bytea, token_key_id text, headers_ciphertext bytea, headers_key_id text, secret_ciphertext bytea, secret_key_id text, webhook_secret_ciphertext bytea, webhook_secret_key_id text, previous_webhook_secret_ciphertext bytea, previous_webhook_secret_key_id text)
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.complete_connection_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    new.owner_instance_id := new.instance_id;

new.provider := (select i.provider from instances i where i.id = new.instance_id);

return new;

end
$$;

CREATE FUNCTION public.create_instance_connection_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into instance_connections (instance_id, owner_instance_id, provider)
    values (new.id, new.id, new.provider)
    on conflict (instance_id) do nothing;

return null;

end
$$;

CREATE FUNCTION public.create_instance_queue_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into instance_lines (instance_id) values (new.id);

return null;

end
$$;

CREATE FUNCTION public.decide_linking_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    link phone_links;

handed_out boolean;

decided text := 'accepted';

begin
    select * into link from phone_links where instance_id = new.instance_id for no key update;

if not found then
        return null;

end if;

if new.state <> 'connected' then
        if link.used_at is not null and link.unlinked_at is null then
            update phone_links set unlinked_at = now() where instance_id = new.instance_id;

update instance_lines set hold_until = null, hold_reason = null, hold_kind = null
            where instance_id = new.instance_id and hold_kind = 'linking';

end if;

return null;

end if;

handed_out := coalesce(link.last_code_at > new.changed_at - interval '10 minutes', false);

if link.used_at is not null
        or not handed_out and (link.revoked_at is not null or link.expires_at <= now())
    then
        return null;

end if;

if handed_out and cardinality(link.phones) > 0 then
        if new.phone is null or new.phone <> all(link.phones) then
            decided := 'wrong_phone';

end if;

elsif handed_out and exists (
        select 1 from message_queue where instance_id = new.instance_id and status <> 'failed'
    ) then
        decided := 'held';

end if;

update phone_links set used_at = now(), linking = decided where instance_id = new.instance_id;

if decided = 'accepted' then
        return null;

end if;

update instance_lines
    set hold_kind = 'linking', hold_until = now() + interval '100 years',
        hold_reason = case decided
            when 'held' then 'A phone was linked with a link that was handed out: confirm it'
            else 'Another phone than the link allows was linked: it is being logged out'
        end
    where instance_id = new.instance_id;

if decided = 'wrong_phone' then
        perform pg_notify('wrong_phone_linked', new.instance_id);

end if;

return null;

end
$$;

CREATE FUNCTION public.enqueue(flush_id uuid, node_id text, ordinals integer[], instance_ids text[], zaap_ids text[], message_ids text[], types text[], versions smallint[], phones text[], payloads jsonb[], priorities smallint[], due_ats timestamp with time zone[], refuse_disconnected boolean[], idempotency_keys text[], body_hashes bytea[], max_waiting integer, max_waiting_disconnected integer, max_attempts smallint, max_age_seconds double precision) RETURNS TABLE(ordinal integer, verdict text, connected boolean, most integer, zaap_id text, message_id text, wakes boolean, holder text)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
    locked text[];

begin
    locked := array(
        select l.instance_id
        from instance_lines l
        where l.instance_id = any(enqueue.instance_ids)
        order by l.instance_id
        for no key update skip locked
    );

return query
    with request as (
        select *
        from unnest(
            ordinals, instance_ids, zaap_ids, message_ids, types, versions, phones, payloads,
            priorities, due_ats, refuse_disconnected, idempotency_keys, body_hashes
        ) as r (
            ordinal, instance_id, zaap_id, message_id, type, version, phone, payload,
            priority, due_at, refuse_disconnected, idempotency_key, body_hash
        )
        where not exists (select from abandoned_flushes a where a.id = flush_id)
    ), line as (
        select l.instance_id, l.next_sequence, l.connected, l.idle,
               case when l.connected then enqueue.max_waiting else enqueue.max_waiting_disconnected end as most,
               -- An upper bound of what waits, at the price of one look at the index.
               l.next_sequence - coalesce((
                   select q.sequence_number
                   from message_queue q
                   where q.instance_id = l.instance_id and q.status <> 'failed'
                   order by q.sequence_number
                   limit 1
               ), l.next_sequence) as span,
               (select count(*) from request r where r.instance_id = l.instance_id) as asked
        from instance_lines l
        where l.instance_id = any(locked)
    ), roomy as (
        select l.*,
               case
                   when l.most = 0 then 2147483647
                   when l.span + l.asked <= l.most then l.most - l.span
                   else l.most - (
                       select count(*)
                       from (
                           select 1
                           from message_queue q
                           where q.instance_id = l.instance_id and q.status <> 'failed'
                           limit l.most
                       ) waiting
                   )
               end as room
        from line l
    ), judged as (
        select r.*, l.next_sequence, l.connected, l.idle, l.most, l.room,
               k.zaap_id as first_zaap_id, k.message_id as first_message_id,
               case
                   when k.body_hash = r.body_hash then 'replayed'
                   when k.body_hash is not null then 'key_reused'
                   when r.refuse_disconnected and not l.connected then 'not_connected'
                   else 'new'
               end as verdict
        from request r
        join roomy l on l.instance_id = r.instance_id
        left join idempotency_keys k
            on k.instance_id = r.instance_id and k.key = r.idempotency_key
            and k.created_at > now() - interval '24 hours'
    ), counted as (
        select j.*,
               count(*) filter (where verdict = 'new') over (
                   partition by instance_id order by ordinal
               ) as nth
        from judged j
    ), settled as (
        select c.*,
               case when verdict = 'new' and nth > room then 'full' else verdict end as final,
               next_sequence + nth - 1 as sequence_number
        from counted c
    ), added as (
        insert into message_queue (
            instance_id, zaap_id, message_id, type, version, phone, payload, priority, max_attempts,
            sequence_number, position, status, due_at, expires_at
        )
        select instance_id, zaap_id, message_id, type, version, phone, payload, priority,
               enqueue.max_attempts, sequence_number, sequence_number,
               case when due_at > now() then 'scheduled' else 'pending' end, coalesce(due_at, now()),
               coalesce(due_at, now()) + make_interval(secs => enqueue.max_age_seconds)
        from settled
        where final = 'new'
        order by instance_id, sequence_number
    ), keyed as (
        insert into idempotency_keys as k (instance_id, key, body_hash, zaap_id, message_id)
        select instance_id, idempotency_key, body_hash, zaap_id, message_id
        from settled
        where final = 'new' and idempotency_key is not null
        on conflict (instance_id, key) do update
        set body_hash = excluded.body_hash, zaap_id = excluded.zaap_id,
            message_id = excluded.message_id, created_at = now()
    ), moved as (
        update instance_lines l
        set next_sequence = l.next_sequence + n.rows, idle = false
        from (
            select instance_id, count(*) as rows from settled where final = 'new' group by instance_id
        ) n
        where l.instance_id = n.instance_id
    ), woken as materialized (
        -- A NOTIFY in every commit would halve their rate: only where a worker of another node sleeps.
        -- 200 ids fit into the 8,000 bytes of one.
        select count(pg_notify('node:' || other.node_id, other.instance_ids)) as nodes
        from (
            select w.node_id, string_agg(w.instance_id, ',') as instance_ids
            from (
                select e.node_id, s.instance_id,
                       row_number() over (partition by e.node_id order by s.instance_id) / 200 as note
                from settled s
                join instance_leases e on e.instance_id = s.instance_id
                where s.final = 'new' and (s.idle or s.due_at is not null)
                    and e.node_id <> enqueue.node_id
                group by e.node_id, s.instance_id
            ) w
            group by w.node_id, w.note
        ) other
    )
    select s.ordinal, s.final as verdict, s.connected, s.most,
           case when s.final = 'replayed' then s.first_zaap_id else s.zaap_id end as zaap_id,
           case when s.final = 'replayed' then s.first_message_id else s.message_id end as message_id,
           s.final = 'new' and (s.idle or s.due_at is not null) as wakes, e.node_id as holder
    from settled s
    left join instance_leases e on e.instance_id = s.instance_id
    where (select nodes from woken) is not null;

end
$$;

CREATE FUNCTION public.enqueue_callbacks_v1(instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]) RETURNS bigint
    LANGUAGE sql
    AS $$
    insert into webhook_events (account_id, instance_id, chat, id, type, body)
    select i.account_id, c.instance_id, c.chat, c.id, c.type, c.body
    from unnest(instance_ids, chats, types, ids, bodies) with ordinality
        as c (instance_id, chat, type, id, body, turn)
    join instances i on i.id = c.instance_id
    where callback_url_v1(i, c.type) is not null or exists (
        select 1 from event_roads r where r.account_id = i.account_id and r.wanted_until > now()
    )
    order by c.turn;

select append_callbacks_v1(instance_ids, chats, types, ids, bodies)
$$;

CREATE FUNCTION public.enqueue_callbacks_v2(instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
begin
    insert into webhook_events (account_id, instance_id, chat, id, type, body)
    select i.account_id, c.instance_id, c.chat, c.id, c.type, c.body
    from unnest(instance_ids, chats, types, ids, bodies) with ordinality
        as c (instance_id, chat, type, id, body, turn)
    join instances i on i.id = c.instance_id
    where callback_url_v2(i, c.type) is not null or exists (
        select 1 from webhooks f
        where f.instance_id = c.instance_id and f.enabled
            and (f.types is null or c.type = any(f.types))
    ) or exists (
        select 1 from event_roads r where r.account_id = i.account_id and r.wanted_until > now()
    )
    order by c.turn;

return append_callbacks_v2(instance_ids, chats, types, ids, bodies, null);

end
$$;

CREATE FUNCTION public.enqueue_messages_v1(flush_id uuid, node_id text, ordinals integer[], instance_ids text[], zaap_ids text[], message_ids text[], types text[], versions smallint[], phones text[], payloads jsonb[], priorities smallint[], due_ats timestamp with time zone[], refuse_disconnected boolean[], idempotency_keys text[], body_hashes bytea[], max_waiting integer, max_waiting_disconnected integer, max_attempts smallint, max_age_seconds double precision) RETURNS TABLE(ordinal integer, admission text, connected boolean, queue_limit integer, zaap_id text, message_id text, wakes_worker boolean, holder_node_id text)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
    locked text[];

begin
    locked := array(
        select l.instance_id
        from instance_lines l
        where l.instance_id = any(enqueue_messages_v1.instance_ids)
        order by l.instance_id
        for no key update skip locked
    );

return query
    with request as (
        -- The messages as rows; none if the flush was abandoned.
        select *
        from unnest(
            ordinals, instance_ids, zaap_ids, message_ids, types, versions, phones, payloads,
            priorities, due_ats, refuse_disconnected, idempotency_keys, body_hashes
        ) as r (
            ordinal, instance_id, zaap_id, message_id, type, version, phone, payload,
            priority, due_at, refuse_disconnected, idempotency_key, body_hash
        )
        where not exists (select from abandoned_flushes a where a.id = flush_id)
    ), queue as (
        -- The locked queues, with an upper bound of how many messages wait, which costs one index lookup.
        select l.instance_id, l.next_sequence, l.connected, l.idle,
               case
                   when l.connected then enqueue_messages_v1.max_waiting
                   else enqueue_messages_v1.max_waiting_disconnected
               end as queue_limit,
               l.next_sequence - coalesce((
                   select q.sequence_number
                   from message_queue q
                   where q.instance_id = l.instance_id and q.status <> 'failed'
                   order by q.sequence_number
                   limit 1
               ), l.next_sequence) as span,
               (select count(*) from request r where r.instance_id = l.instance_id) as requested
        from instance_lines l
        where l.instance_id = any(locked)
    ), queue_with_capacity as (
        -- How many messages each queue may still take; rows are counted only if the bound is too high.
        select l.*,
               case
                   when l.queue_limit = 0 then 2147483647
                   when l.span + l.requested <= l.queue_limit then l.queue_limit - l.span
                   else l.queue_limit - (
                       select count(*)
                       from (
                           select 1
                           from message_queue q
                           where q.instance_id = l.instance_id and q.status <> 'failed'
                           limit l.queue_limit
                       ) waiting
                   )
               end as capacity
        from queue l
    ), decided as (
        -- The decision about each message as if every queue had capacity.
        select r.*, l.next_sequence, l.connected, l.idle, l.queue_limit, l.capacity,
               k.zaap_id as first_zaap_id, k.message_id as first_message_id,
               case
                   when k.body_hash = r.body_hash then 'replayed'
                   when k.body_hash is not null then 'key_reused'
                   when r.refuse_disconnected and not l.connected then 'not_connected'
                   else 'accepted'
               end as decision
        from request r
        join queue_with_capacity l on l.instance_id = r.instance_id
        left join idempotency_keys k
            on k.instance_id = r.instance_id and k.key = r.idempotency_key
            and k.created_at > now() - interval '24 hours'
    ), numbered as (
        -- Numbers the acceptable messages of each queue.
        select d.*,
               count(*) filter (where decision = 'accepted') over (
                   partition by instance_id order by ordinal
               ) as nth
        from decided d
    ), result as (
        -- The final result: messages beyond the capacity of their queue are refused.
        select c.*,
               case when decision = 'accepted' and nth > capacity then 'queue_full' else decision end as admission,
               next_sequence + nth - 1 as sequence_number
        from numbered c
    ), added as (
        -- Writes the accepted messages.
        insert into message_queue (
            instance_id, zaap_id, message_id, type, version, phone, payload, priority, max_attempts,
            sequence_number, position, status, due_at, expires_at
        )
        select instance_id, zaap_id, message_id, type, version, phone, payload, priority,
               enqueue_messages_v1.max_attempts, sequence_number, sequence_number,
               case when due_at > now() then 'scheduled' else 'pending' end, coalesce(due_at, now()),
               coalesce(due_at, now()) + make_interval(secs => enqueue_messages_v1.max_age_seconds)
        from result
        where admission = 'accepted'
        order by instance_id, sequence_number
    ), keyed as (
        -- Stores their idempotency keys.
        insert into idempotency_keys as k (instance_id, key, body_hash, zaap_id, message_id)
        select instance_id, idempotency_key, body_hash, zaap_id, message_id
        from result
        where admission = 'accepted' and idempotency_key is not null
        on conflict (instance_id, key) do update
        set body_hash = excluded.body_hash, zaap_id = excluded.zaap_id,
            message_id = excluded.message_id, created_at = now()
    ), advanced as (
        -- Moves the sequence of each queue past them.
        update instance_lines l
        set next_sequence = l.next_sequence + n.rows, idle = false
        from (
            select instance_id, count(*) as rows from result where admission = 'accepted' group by instance_id
        ) n
        where l.instance_id = n.instance_id
    ), woken as materialized (
        -- Wakes sleeping workers of other nodes only: a NOTIFY in every commit would halve the rate of
        -- commits. 200 ids fit into the 8,000 bytes of one notification.
        select count(pg_notify('node:' || other.node_id, other.instance_ids)) as nodes
        from (
            select w.node_id, string_agg(w.instance_id, ',') as instance_ids
            from (
                select e.node_id, s.instance_id,
                       row_number() over (partition by e.node_id order by s.instance_id) / 200 as note
                from result s
                join instance_leases e on e.instance_id = s.instance_id
                where s.admission = 'accepted' and (s.idle or s.due_at is not null)
                    and e.node_id <> enqueue_messages_v1.node_id
                group by e.node_id, s.instance_id
            ) w
            group by w.node_id, w.note
        ) other
    )
    select s.ordinal, s.admission, s.connected, s.queue_limit,
           case when s.admission = 'replayed' then s.first_zaap_id else s.zaap_id end as zaap_id,
           case when s.admission = 'replayed' then s.first_message_id else s.message_id end as message_id,
           s.admission = 'accepted' and (s.idle or s.due_at is not null) as wakes_worker,
           e.node_id as holder_node_id
    from result s
    left join instance_leases e on e.instance_id = s.instance_id
    where (select nodes from woken) is not null;

end
$$;

CREATE FUNCTION public.enqueue_messages_v2(flush_id uuid, node_id text, ordinals integer[], instance_ids text[], zaap_ids text[], message_ids text[], types text[], versions smallint[], phones text[], payloads jsonb[], priorities smallint[], due_ats timestamp with time zone[], expires_ats timestamp with time zone[], expires_ins double precision[], refuse_disconnected boolean[], idempotency_keys text[], body_hashes bytea[], max_waiting integer, max_waiting_disconnected integer, max_attempts smallint, max_age_seconds double precision) RETURNS TABLE(ordinal integer, admission text, connected boolean, queue_limit integer, zaap_id text, message_id text, wakes_worker boolean, holder_node_id text)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
    locked text[];

line record;

holder text;

begin
    if cardinality(ordinals) = 1 and idempotency_keys[1] is null and due_ats[1] is null then
        select l.next_sequence, l.connected, l.idle into line
        from instance_lines l
        where l.instance_id = enqueue_messages_v2.instance_ids[1]
        for no key update skip locked;

if not found then
            return;

end if;

if line.connected
            and (
                enqueue_messages_v2.max_waiting = 0
                or line.next_sequence - coalesce((
                    select q.sequence_number
                    from message_queue q
                    where q.instance_id = enqueue_messages_v2.instance_ids[1] and q.status <> 'failed'
                    order by q.sequence_number
                    limit 1
                ), line.next_sequence) < enqueue_messages_v2.max_waiting
            )
            and not exists (select from abandoned_flushes a where a.id = flush_id)
        then
            insert into message_queue (
                instance_id, zaap_id, message_id, type, version, phone, payload, priority, max_attempts,
                sequence_number, position, status, due_at, expires_at
            )
            values (
                instance_ids[1], zaap_ids[1], message_ids[1], types[1], versions[1], phones[1], payloads[1],
                priorities[1], enqueue_messages_v2.max_attempts, line.next_sequence, line.next_sequence,
                'pending', now(),
                least(
                    expires_ats[1], now() + make_interval(secs => expires_ins[1]),
                    now() + make_interval(secs => enqueue_messages_v2.max_age_seconds)
                )
            );

update instance_lines l
            set next_sequence = l.next_sequence + 1, idle = false
            where l.instance_id = enqueue_messages_v2.instance_ids[1];

select e.node_id into holder
            from instance_leases e
            where e.instance_id = enqueue_messages_v2.instance_ids[1];

if line.idle and holder <> enqueue_messages_v2.node_id then
                perform pg_notify('node:' || holder, enqueue_messages_v2.instance_ids[1]);

end if;

return query
            select ordinals[1], 'accepted', true, enqueue_messages_v2.max_waiting, zaap_ids[1],
                   message_ids[1], line.idle, holder;

return;

end if;

end if;

locked := array(
        select l.instance_id
        from instance_lines l
        where l.instance_id = any(enqueue_messages_v2.instance_ids)
        order by l.instance_id
        for no key update skip locked
    );

return query
    with request as (
        -- The messages as rows; none if the flush was abandoned.
        select *
        from unnest(
            ordinals, instance_ids, zaap_ids, message_ids, types, versions, phones, payloads,
            priorities, due_ats, expires_ats, expires_ins, refuse_disconnected, idempotency_keys,
            body_hashes
        ) as r (
            ordinal, instance_id, zaap_id, message_id, type, version, phone, payload,
            priority, due_at, expires_at, expires_in, refuse_disconnected, idempotency_key,
            body_hash
        )
        where not exists (select from abandoned_flushes a where a.id = flush_id)
    ), queue as (
        -- The locked queues, with an upper bound of how many messages wait, which costs one index lookup.
        select l.instance_id, l.next_sequence, l.connected, l.idle,
               case
                   when l.connected then enqueue_messages_v2.max_waiting
                   else enqueue_messages_v2.max_waiting_disconnected
               end as queue_limit,
               l.next_sequence - coalesce((
                   select q.sequence_number
                   from message_queue q
                   where q.instance_id = l.instance_id and q.status <> 'failed'
                   order by q.sequence_number
                   limit 1
               ), l.next_sequence) as span,
               (select count(*) from request r where r.instance_id = l.instance_id) as requested
        from instance_lines l
        where l.instance_id = any(locked)
    ), queue_with_capacity as (
        -- How many messages each queue may still take; rows are counted only if the bound is too high.
        select l.*,
               case
                   when l.queue_limit = 0 then 2147483647
                   when l.span + l.requested <= l.queue_limit then l.queue_limit - l.span
                   else l.queue_limit - (
                       select count(*)
                       from (
                           select 1
                           from message_queue q
                           where q.instance_id = l.instance_id and q.status <> 'failed'
                           limit l.queue_limit
                       ) waiting
                   )
               end as capacity
        from queue l
    ), decided as (
        -- The decision about each message as if every queue had capacity.
        select r.*, l.next_sequence, l.connected, l.idle, l.queue_limit, l.capacity,
               k.zaap_id as first_zaap_id, k.message_id as first_message_id,
               case
                   when k.body_hash = r.body_hash then 'replayed'
                   when k.body_hash is not null then 'key_reused'
                   when r.refuse_disconnected and not l.connected then 'not_connected'
                   else 'accepted'
               end as decision
        from request r
        join queue_with_capacity l on l.instance_id = r.instance_id
        left join idempotency_keys k
            on k.instance_id = r.instance_id and k.key = r.idempotency_key
            and k.created_at > now() - interval '24 hours'
    ), numbered as (
        -- Numbers the acceptable messages of each queue.
        select d.*,
               count(*) filter (where decision = 'accepted') over (
                   partition by instance_id order by ordinal
               ) as nth
        from decided d
    ), result as (
        -- The final result: messages beyond the capacity of their queue are refused.
        select c.*,
               case when decision = 'accepted' and nth > capacity then 'queue_full' else decision end as admission,
               next_sequence + nth - 1 as sequence_number
        from numbered c
    ), added as (
        -- Writes the accepted messages.
        insert into message_queue (
            instance_id, zaap_id, message_id, type, version, phone, payload, priority, max_attempts,
            sequence_number, position, status, due_at, expires_at
        )
        select instance_id, zaap_id, message_id, type, version, phone, payload, priority,
               enqueue_messages_v2.max_attempts, sequence_number, sequence_number,
               case when due_at > now() then 'scheduled' else 'pending' end, coalesce(due_at, now()),
               least(
                   expires_at, now() + make_interval(secs => expires_in),
                   coalesce(due_at, now()) + make_interval(secs => enqueue_messages_v2.max_age_seconds)
               )
        from result
        where admission = 'accepted'
        order by instance_id, sequence_number
    ), keyed as (
        -- Stores their idempotency keys.
        insert into idempotency_keys as k (instance_id, key, body_hash, zaap_id, message_id)
        select instance_id, idempotency_key, body_hash, zaap_id, message_id
        from result
        where admission = 'accepted' and idempotency_key is not null
        on conflict (instance_id, key) do update
        set body_hash = excluded.body_hash, zaap_id = excluded.zaap_id,
            message_id = excluded.message_id, created_at = now()
    ), advanced as (
        -- Moves the sequence of each queue past them.
        update instance_lines l
        set next_sequence = l.next_sequence + n.rows, idle = false
        from (
            select instance_id, count(*) as rows from result where admission = 'accepted' group by instance_id
        ) n
        where l.instance_id = n.instance_id
    ), woken as materialized (
        -- Wakes sleeping workers of other nodes only: a NOTIFY in every commit would halve the rate of
        -- commits. 200 ids fit into the 8,000 bytes of one notification.
        select count(pg_notify('node:' || other.node_id, other.instance_ids)) as nodes
        from (
            select w.node_id, string_agg(w.instance_id, ',') as instance_ids
            from (
                select e.node_id, s.instance_id,
                       row_number() over (partition by e.node_id order by s.instance_id) / 200 as note
                from result s
                join instance_leases e on e.instance_id = s.instance_id
                where s.admission = 'accepted' and (s.idle or s.due_at is not null)
                    and e.node_id <> enqueue_messages_v2.node_id
                group by e.node_id, s.instance_id
            ) w
            group by w.node_id, w.note
        ) other
    )
    select s.ordinal, s.admission, s.connected, s.queue_limit,
           case when s.admission = 'replayed' then s.first_zaap_id else s.zaap_id end as zaap_id,
           case when s.admission = 'replayed' then s.first_message_id else s.message_id end as message_id,
           s.admission = 'accepted' and (s.idle or s.due_at is not null) as wakes_worker,
           e.node_id as holder_node_id
    from result s
    left join instance_leases e on e.instance_id = s.instance_id
    where (select nodes from woken) is not null;

end
$$;

CREATE FUNCTION public.event_log_server_v1() RETURNS text
    LANGUAGE plpgsql
    AS $$
begin
    return (select system_identifier from pg_control_system())
        || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
        || '/' || (select oid from pg_database where datname = current_database())
        || '/' || 'event_log'::regclass::oid;

exception
    when others then  -- a managed service may lack or forbid any of these, each with its own error
        return null;

end
$$;

CREATE FUNCTION public.further_callback_id_v1(webhook_id uuid, event_id uuid) RETURNS uuid
    LANGUAGE sql IMMUTABLE
    AS $$
    select md5(webhook_id::text || event_id::text)::uuid
$$;

CREATE FUNCTION public.is_first_contact_v1(of_instance text, named text) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $_$
    select (named ~ '^[0-9]+$' or named like '%@lid') and not exists (
        select from chats c
        where c.instance_id = of_instance and c.phone = any(queue_names_v1(of_instance, named))
            and c.last_message_at > 'epoch'
    )
$_$;

CREATE FUNCTION public.is_withheld_v1(of_instance text, named text, until timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    select until > now() and is_first_contact_v1(of_instance, named) or exists (
        select from message_queue q
        where q.instance_id = of_instance and q.phone = any(queue_names_v1(of_instance, named))
            and q.withheld_for is not null and q.status = 'scheduled'
    )
$$;

CREATE FUNCTION public.known_chat_v1(of_instance text, named text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $$
declare
    known text := (
        select n.phone from whatsapp_numbers n
        where n.instance_id = of_instance and n.spelling = named
    );

begin
    if known is null and named like '%@lid' then
        known := (select i.phone from identities i where i.instance_id = of_instance and i.lid = named);

end if;

return known;

end
$$;

CREATE FUNCTION public.make_instance_line() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into instance_lines (instance_id) values (new.id);

return null;

end
$$;

CREATE FUNCTION public.mark_empty_queues_idle_v1(instance_ids text[]) RETURNS SETOF text
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
declare
    empty text[];

begin
    empty := array(
        select e.id
        from unnest(mark_empty_queues_idle_v1.instance_ids) as e (id)
        where (
            select q.id from message_queue q
            where q.instance_id = e.id and q.status = 'pending'
            order by q.priority, q.position
            limit 1
        ) is null
    );

if empty = '{}' then
        return;

end if;

empty := array(
        select l.instance_id
        from instance_lines l
        where l.instance_id = any(empty)
        order by l.instance_id
        for no key update skip locked
    );

return query
    update instance_lines l set idle = true
    where l.instance_id = any(empty)
        and (
            select q.id from message_queue q
            where q.instance_id = l.instance_id and q.status = 'pending'
            order by q.priority, q.position
            limit 1
        ) is null
        and (
            select q.id from message_queue q
            where q.instance_id = l.instance_id and q.status = 'parked'
            order by q.phone
            limit 1
        ) is null
        and (
            select q.id from message_queue q
            where q.instance_id = l.instance_id and q.status = 'behind'
            order by q.phone
            limit 1
        ) is null
        and (
            select q.id from message_queue q
            where q.instance_id = l.instance_id and q.status = 'processing'
        ) is null
    returning l.instance_id;

end
$$;

CREATE FUNCTION public.mark_queues_idle_v1(instance_ids text[]) RETURNS TABLE(instance_id text, seconds_until_due double precision)
    LANGUAGE plpgsql
    AS $$
#variable_conflict use_column
begin
    perform from instance_lines l
    where l.instance_id = any(mark_queues_idle_v1.instance_ids)
    order by l.instance_id
    for no key update;

update instance_lines l set idle = true
    where l.instance_id = any(mark_queues_idle_v1.instance_ids) and not l.idle;

return query
    select l.instance_id,
           case
               when l.connected and not l.paused
               then extract(epoch from greatest(l.hold_until, min(head.due_at)) - now())
           end::double precision
    from instance_lines l
    left join lateral (
        select q.due_at
        from (values (0), (1), (2)) as lane (priority)
        cross join lateral (
            select least(h.due_at, h.expires_at) as due_at
            from message_queue h
            where h.instance_id = l.instance_id and h.status = 'pending' and h.priority = lane.priority
            order by h.position
            limit 1
        ) q
        union all
        select least(a.due_at, a.expires_at)
        from message_queue a
        where a.instance_id = l.instance_id and a.status = 'parked'
    ) head on true
    where l.instance_id = any(mark_queues_idle_v1.instance_ids)
    group by l.instance_id;

end
$$;

CREATE FUNCTION public.merge_chats_v1(instance_ids text[], from_names text[], to_names text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
declare
    pair record;

begin
    for pair in
        select p.instance_id, p.old, p.new
        from unnest(instance_ids, from_names, to_names) as p (instance_id, old, new)
        where p.old <> p.new
        order by p.instance_id, p.new, p.old
    loop
        with moved as (
            -- Takes the chat of the old name out of the list.
            delete from chats c where c.instance_id = pair.instance_id and c.phone = pair.old
            returning c.*
        )
        insert into chats as c (
            instance_id, phone, name, unread, last_message_at, archived, pinned, muted, hidden,
            cleared_at, note, note_id, note_created_at, note_updated_at
        )
        select m.instance_id, pair.new, m.name, m.unread, m.last_message_at, m.archived, m.pinned,
               m.muted, m.hidden, m.cleared_at, m.note, m.note_id, m.note_created_at, m.note_updated_at
        from moved m
        on conflict (instance_id, phone) do update
        set name = coalesce(c.name, excluded.name), unread = c.unread + excluded.unread,
            last_message_at = greatest(c.last_message_at, excluded.last_message_at),
            archived = c.archived or excluded.archived, pinned = c.pinned or excluded.pinned,
            muted = c.muted or excluded.muted, hidden = c.hidden and excluded.hidden,
            cleared_at = greatest(c.cleared_at, excluded.cleared_at),
            note = coalesce(c.note, excluded.note), note_id = coalesce(c.note_id, excluded.note_id),
            note_created_at = coalesce(c.note_created_at, excluded.note_created_at),
            note_updated_at = coalesce(c.note_updated_at, excluded.note_updated_at);

with moved as (
            -- Takes the tags from the old name.
            delete from chat_tags t where t.instance_id = pair.instance_id and t.phone = pair.old
            returning t.*
        )
        insert into chat_tags (instance_id, phone, tag_id)
        select m.instance_id, pair.new, m.tag_id from moved m
        on conflict do nothing;

with moved as (
            -- Takes the contact from the old name.
            delete from contacts c where c.instance_id = pair.instance_id and c.phone = pair.old
            returning c.*
        )
        insert into contacts as c (instance_id, phone, name, short, vname, notify)
        select m.instance_id, pair.new, m.name, m.short, m.vname, m.notify from moved m
        on conflict (instance_id, phone) do update
        set name = coalesce(c.name, excluded.name), short = coalesce(c.short, excluded.short),
            vname = coalesce(c.vname, excluded.vname), notify = coalesce(c.notify, excluded.notify),
            updated_at = now();

end loop;

end
$$;

CREATE FUNCTION public.note_chats() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    counts boolean := current_setting('gateway.counts_unread', true) is distinct from 'off';

begin
    insert into chats as c (instance_id, phone, unread, last_message_at)
    select f.instance_id, f.phone,
           count(*) filter (where counts and not f.from_me and f.type <> 'notification'),
           max(coalesce(f.sent_at, f.created_at))
    from fresh f
    where f.status in ('sent', 'received') and f.phone <> 'status@broadcast'
    group by f.instance_id, f.phone
    order by f.instance_id, f.phone
    on conflict (instance_id, phone) do update
    set unread = c.unread + excluded.unread,
        last_message_at = greatest(c.last_message_at, excluded.last_message_at),
        hidden = false;

return null;

end
$$;

CREATE FUNCTION public.note_deleted_media_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into media_leftovers (id) select distinct id from gone on conflict do nothing;

return null;

end
$$;

CREATE FUNCTION public.note_down_since_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if new.state = 'connected' then
        new.down_since := null;

elsif tg_op = 'UPDATE' and old.state <> 'connected' then
        new.down_since := coalesce(old.down_since, old.changed_at);

else
        new.down_since := new.changed_at;

end if;

return new;

end
$$;

CREATE FUNCTION public.note_media_leftovers() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    insert into media_leftovers (id) select distinct id from gone on conflict do nothing;

return null;

end
$$;

CREATE FUNCTION public.note_pause_change_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    new.pause_changed_at := now();

return new;

end
$$;

CREATE FUNCTION public.notify_account_changed_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('account_changed', coalesce(new.id, old.id));

return null;

end
$$;

CREATE FUNCTION public.notify_api_key_changed_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('account_changed', coalesce(new.account_id, old.account_id));

return null;

end
$$;

CREATE FUNCTION public.notify_connection_changed_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    if tg_op = 'INSERT'
        or row(old.state, old.phone, old.reason, old.health, old.health_reason)
            is distinct from row(new.state, new.phone, new.reason, new.health, new.health_reason)
    then
        perform pg_notify('connection_changed', new.instance_id);

end if;

return null;

end
$$;

CREATE FUNCTION public.notify_instance_changed_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('instance_changed', coalesce(new.id, old.id));

return null;

end
$$;

CREATE FUNCTION public.notify_user_changed_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    perform pg_notify('account_changed', coalesce(old.account_id, ''));

return null;

end
$$;

CREATE FUNCTION public.notify_user_session_ended_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    -- Where the user was deleted, its own trigger notifies.
    perform pg_notify('account_changed', coalesce(account_id, '')) from users where id = old.user_id;

return null;

end
$$;

CREATE FUNCTION public.queue_chat_v1(of_instance text, named text) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $_$
declare
    number text := coalesce(known_chat_v1(of_instance, named), named);

begin
    return case
        when number like '55%' then regexp_replace(number, '^(55[1-9][0-9])9([6-9][0-9]{7})$', '\1\2')
        when number like '549%' then regexp_replace(number, '^549([1-3][0-9]{9})$', '54\1')
        when number like '521%' then regexp_replace(number, '^521([2-9][0-9]{9})$', '52\1')
        else number
    end;

end
$_$;

CREATE FUNCTION public.queue_names_v1(of_instance text, named text) RETURNS text[]
    LANGUAGE plpgsql STABLE PARALLEL SAFE
    AS $_$
begin
    return (
        with spelling as materialized (
            -- The name itself, and the spellings of the number.
            select named as name
            union
            select s.name
            from (select queue_chat_v1(of_instance, named) as name) c
            cross join lateral (
                values (c.name),
                    (regexp_replace(c.name, '^(55[1-9][0-9])([6-9][0-9]{7})$', '\19\2')),
                    (regexp_replace(c.name, '^54([1-3][0-9]{9})$', '549\1')),
                    (regexp_replace(c.name, '^52([2-9][0-9]{9})$', '521\1'))
            ) s (name)
        )
        select array_agg(n.name)
        from (
            select s.name from spelling s
            union
            select i.lid from identities i
            where i.instance_id = of_instance and i.phone in (select s.name from spelling s)
        ) n
    );

end
$_$;

CREATE TABLE public.message_queue (
    instance_id text NOT NULL,
    id bigint NOT NULL,
    sequence_number bigint NOT NULL,
    "position" bigint NOT NULL,
    due_at timestamp with time zone DEFAULT now() NOT NULL,
    attempt_started_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_epoch bigint,
    version smallint NOT NULL,
    priority smallint NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    max_attempts smallint NOT NULL,
    status text NOT NULL,
    zaap_id text NOT NULL,
    message_id text NOT NULL,
    type text NOT NULL,
    phone text NOT NULL,
    payload jsonb NOT NULL,
    last_error text,
    expires_at timestamp with time zone,
    claim_id uuid,
    claimed_at timestamp with time zone,
    parked_for text,
    connection_id text,
    withheld_for text,
    deferrals smallint DEFAULT 0 NOT NULL,
    CONSTRAINT failures_are_explained CHECK (((status <> 'failed'::text) OR (last_error IS NOT NULL))),
    CONSTRAINT known_priority CHECK (((priority >= 0) AND (priority <= 2))),
    CONSTRAINT known_reason_to_park CHECK ((parked_for = ANY (ARRAY['file'::text, 'retry'::text]))),
    CONSTRAINT known_status CHECK ((status = ANY (ARRAY['behind'::text, 'failed'::text, 'parked'::text, 'pending'::text, 'processing'::text, 'scheduled'::text]))),
    CONSTRAINT message_queue_withheld_for_check CHECK ((withheld_for = ANY (ARRAY['first_contact'::text, 'refused_contact'::text]))),
    CONSTRAINT only_processing_starts CHECK (((attempt_started_at IS NULL) OR (status = 'processing'::text))),
    CONSTRAINT parked_for_a_reason CHECK (((status = 'parked'::text) = (parked_for IS NOT NULL))),
    CONSTRAINT processing_is_claimed CHECK (((status = 'processing'::text) = (claimed_epoch IS NOT NULL)))
)
WITH (fillfactor='80');

COMMENT ON COLUMN public.message_queue.claim_id IS 'Made by the worker before it asks. Counts only while the row is processing; a node of an older version leaves an old value behind.';

COMMENT ON COLUMN public.message_queue.claimed_at IS 'When that claim was made, by the database''s clock.';

COMMENT ON COLUMN public.message_queue.parked_for IS 'What a parked message waits for; it is due at `due_at`, or earlier if its file has come.';

COMMENT ON COLUMN public.message_queue.connection_id IS 'By which its latest attempt went, written before the attempt starts.';

COMMENT ON COLUMN public.message_queue.withheld_for IS 'Why a scheduled message waits: WhatsApp refused it, or would; null: its caller chose the time.';

COMMENT ON COLUMN public.message_queue.deferrals IS 'How many attempts in a row did not count; the pause grows with them.';

CREATE FUNCTION public.reported_status_v1(q public.message_queue) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    select case
        when q.attempt_started_at is not null then 'processing'
        when q.status in ('failed', 'scheduled') then q.status
        when q.attempts > 0 then 'retrying'
        else 'pending'
    end
$$;

CREATE FUNCTION public.shown_status(q public.message_queue) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    select case
        when q.attempt_started_at is not null then 'processing'
        when q.status in ('failed', 'scheduled') then q.status
        when q.attempts > 0 then 'retrying'
        else 'pending'
    end
$$;

CREATE FUNCTION public.skip_foreign_retry_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    return null;

end
$$;

CREATE FUNCTION public.tell(instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]) RETURNS bigint
    LANGUAGE sql
    AS $$
    insert into webhook_events (account_id, instance_id, chat, id, type, body)
    select i.account_id, c.instance_id, c.chat, c.id, c.type, c.body
    from unnest(instance_ids, chats, types, ids, bodies) with ordinality
        as c (instance_id, chat, type, id, body, turn)
    join instances i on i.id = c.instance_id
    where callback_url(i, c.type) is not null or exists (
        select 1 from event_roads r where r.account_id = i.account_id and r.wanted_until > now()
    )
    order by c.turn;

select append_callbacks(instance_ids, chats, types, ids, bodies)
$$;

CREATE FUNCTION public.unpark_messages_v1() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
begin
    update message_queue
    set status = 'pending', parked_for = null,
        due_at = case when parked_for = 'file' then now() else due_at end
    where instance_id = new.instance_id and status = 'parked';

update message_queue set status = 'pending'
    where instance_id = new.instance_id and status = 'behind';

return new;

end
$$;

CREATE FUNCTION public.update_chats_v2() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
declare
    counts boolean := current_setting('gateway.counts_unread', true) is distinct from 'off';

begin
    insert into chats as c (instance_id, phone, unread, last_message_at)
    select n.instance_id, n.chat, count(*) filter (where n.is_unread), max(n.at)
    from (
        select f.instance_id, coalesce(known_chat_v1(f.instance_id, f.phone), f.phone) as chat,
               counts and not f.from_me and f.type <> 'notification' as is_unread,
               coalesce(f.sent_at, f.created_at) as at
        from fresh f
        where f.status in ('sent', 'received') and f.phone <> 'status@broadcast'
    ) n
    group by n.instance_id, n.chat
    order by n.instance_id, n.chat
    on conflict (instance_id, phone) do update
    set unread = c.unread + excluded.unread,
        last_message_at = greatest(c.last_message_at, excluded.last_message_at),
        hidden = false;

return null;

end
$$;

CREATE FUNCTION sandbox.merge_marks_v1(marks jsonb, changes jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
    select jsonb_strip_nulls(marks || coalesce(
        jsonb_object_agg(
            n.key,
            case jsonb_typeof(n.value)
                when 'object' then coalesce(marks -> n.key, '{}') || n.value
                else n.value
            end
        ),
        '{}'
    ))
    from jsonb_each(changes) n
$$;

CREATE FUNCTION sandbox.merged(marks jsonb, news jsonb) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    AS $$
    select jsonb_strip_nulls(marks || coalesce(
        jsonb_object_agg(
            n.key,
            case jsonb_typeof(n.value)
                when 'object' then coalesce(marks -> n.key, '{}') || n.value
                else n.value
            end
        ),
        '{}'
    ))
    from jsonb_each(news) n
$$;

CREATE FUNCTION whatsmeow.delete_library_device_v1(device text) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
    deleted bigint := 0;

begin
    if to_regclass('whatsmeow.whatsmeow_privacy_tokens') is not null then
        execute 'delete from whatsmeow.whatsmeow_privacy_tokens where our_jid = $1' using device;

end if;

if to_regclass('whatsmeow.whatsmeow_device') is not null then
        execute 'delete from whatsmeow.whatsmeow_device where jid = $1' using device;

get diagnostics deleted = row_count;

end if;

return deleted;

end
$_$;

CREATE FUNCTION whatsmeow.erase_library_contact_v1(device text, users text[]) RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
declare
    place text[];

deleted bigint;

total bigint := 0;

begin
    foreach place slice 1 in array array[
        ['whatsmeow_contacts', 'their_jid'],
        ['whatsmeow_chat_settings', 'chat_jid'],
        ['whatsmeow_message_secrets', 'chat_jid'],
        ['whatsmeow_message_secrets', 'sender_jid'],
        ['whatsmeow_retry_buffer', 'chat_jid'],
        ['whatsmeow_privacy_tokens', 'their_jid'],
        ['whatsmeow_sessions', 'their_id'],
        ['whatsmeow_identity_keys', 'their_id'],
        ['whatsmeow_sender_keys', 'chat_id'],
        ['whatsmeow_sender_keys', 'sender_id']
    ] loop
        continue when to_regclass('whatsmeow.' || place[1]) is null;

execute format(
            'delete from whatsmeow.%1$I where our_jid = $1'
            ' and substring(%2$I from ''^[0-9]+'') = any($2)',
            place[1], place[2]
        ) using device, users;

get diagnostics deleted = row_count;

total := total + deleted;

end loop;

foreach place slice 1 in array array[
        ['whatsmeow_retry_buffer', 'plaintext'],
        ['whatsmeow_event_buffer', 'plaintext']
    ] loop
        continue when to_regclass('whatsmeow.' || place[1]) is null;

execute format(
            'delete from whatsmeow.%1$I b where b.our_jid = $1 and exists ('
            'select from unnest($2) u where position(convert_to(u, ''UTF8'') in b.%2$I) > 0)',
            place[1], place[2]
        ) using device, users;

get diagnostics deleted = row_count;

total := total + deleted;

end loop;

if to_regclass('whatsmeow.whatsmeow_lid_map') is not null then
        execute
            'delete from whatsmeow.whatsmeow_lid_map p where (p.lid = any($2) or p.pn = any($2))'
            ' and not exists (select from whatsmeow.whatsmeow_contacts c where c.our_jid <> $1'
            ' and substring(c.their_jid from ''^[0-9]+'') in (p.lid, p.pn))'
            ' and not exists (select from whatsmeow.whatsmeow_sessions s where s.our_jid <> $1'
            ' and substring(s.their_id from ''^[0-9]+'') in (p.lid, p.pn))'
            ' and not exists (select from whatsmeow.whatsmeow_device d'
            ' where split_part(split_part(d.jid, ''@'', 1), '':'', 1) in (p.lid, p.pn))'
            using device, users;

get diagnostics deleted = row_count;

total := total + deleted;

end if;

return total;

end
$_$;

CREATE TABLE baileys.devices (
    instance_id text NOT NULL,
    device text NOT NULL,
    linked_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE baileys.events (
    instance_id text NOT NULL,
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    event_key uuid NOT NULL,
    name text NOT NULL,
    body jsonb NOT NULL,
    error text
);

COMMENT ON COLUMN baileys.events.error IS 'Why the event cannot be read; null: it was not tried yet.';

ALTER TABLE baileys.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME baileys.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE baileys.fences (
    instance_id text NOT NULL,
    epoch bigint NOT NULL
);

CREATE TABLE baileys.keys (
    instance_id text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    value text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE baileys.polls (
    instance_id text NOT NULL,
    provider_message_id text NOT NULL,
    options text[] NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE baileys.received (
    instance_id text NOT NULL,
    mark text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE baileys.sends (
    instance_id text NOT NULL,
    provider_message_id text NOT NULL,
    message_id text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.abandoned_flushes (
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.accounts (
    id text NOT NULL,
    name text NOT NULL,
    client_token_hash bytea,
    client_token_required boolean DEFAULT false NOT NULL,
    partner_token_hash bytea,
    allowed_addresses cidr[] DEFAULT '{}'::cidr[] NOT NULL,
    webhook_secret_ciphertext bytea,
    webhook_secret_key_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    previous_webhook_secret_ciphertext bytea,
    previous_webhook_secret_key_id text,
    refuse_opted_out boolean DEFAULT false NOT NULL,
    payload_encryption boolean,
    allowed_instances integer DEFAULT 0 NOT NULL,
    allowed_stored_bytes bigint DEFAULT 0 NOT NULL,
    CONSTRAINT required_token_exists CHECK (((NOT client_token_required) OR (client_token_hash IS NOT NULL)))
);

COMMENT ON COLUMN public.accounts.previous_webhook_secret_ciphertext IS 'Signs beside the current one until it is retired, so that receivers change over in peace.';

COMMENT ON COLUMN public.accounts.payload_encryption IS 'Whether the content of its messages is encrypted; null follows GATEWAY_PAYLOAD_ENCRYPTION.';

COMMENT ON COLUMN public.accounts.allowed_instances IS 'As many instances are allowed in any case: twice those of the day when the limit came.';

COMMENT ON COLUMN public.accounts.allowed_stored_bytes IS 'As many bytes of files are allowed in any case: twice those of the day when the limit came.';

CREATE TABLE public.api_key_uses (
    key_id text NOT NULL,
    used_at timestamp with time zone NOT NULL,
    address text
);

COMMENT ON TABLE public.api_key_uses IS 'The latest use of each key, written at most once a minute by each node.';

CREATE TABLE public.api_keys (
    id text NOT NULL,
    account_id text NOT NULL,
    name text NOT NULL,
    token_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    instance_ids text[] DEFAULT '{}'::text[] NOT NULL,
    networks cidr[] DEFAULT '{}'::cidr[] NOT NULL,
    expires_at timestamp with time zone,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT api_keys_scopes_check CHECK ((cardinality(scopes) > 0))
);

COMMENT ON TABLE public.api_keys IS 'A revoked key has no row; the audit log says who revoked it.';

COMMENT ON COLUMN public.api_keys.token_hash IS 'SHA-256 of the key, which is shown once.';

COMMENT ON COLUMN public.api_keys.scopes IS 'Of gateway/contract/scopes.py; a node ignores one that it does not know.';

COMMENT ON COLUMN public.api_keys.instance_ids IS 'The instances that it may use; empty: those of the account.';

COMMENT ON COLUMN public.api_keys.networks IS 'Where it may be used, within the addresses of the account; empty: everywhere.';

CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    account_id text,
    instance_id text,
    act text NOT NULL,
    address text,
    credential text,
    user_name text,
    outcome text,
    details jsonb
);

COMMENT ON COLUMN public.audit_log.credential IS 'What the caller showed: instance_token, client_token, partner_token, command_line.';

COMMENT ON COLUMN public.audit_log.user_name IS 'Who held it, where that is known.';

COMMENT ON COLUMN public.audit_log.outcome IS 'done, or the class of the error; null while the act runs, or where its node died.';

COMMENT ON COLUMN public.audit_log.details IS '{given, before, after}: what was asked for, and the values that differ. Never a text, a phone or a secret.';

ALTER TABLE public.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.broadcast_lists (
    instance_id text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    phones text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.broadcast_lists IS 'The gateway''s own lists: WhatsApp''s are on the phone, and no linked device can use them.';

COMMENT ON COLUMN public.broadcast_lists.id IS 'The chat that callers send to, without its ending -broadcast.';

CREATE TABLE public.callback_outbox (
    instance_id text CONSTRAINT webhook_outbox_instance_id_not_null NOT NULL,
    chat text CONSTRAINT webhook_outbox_chat_not_null NOT NULL,
    "position" bigint CONSTRAINT webhook_outbox_position_not_null NOT NULL,
    id uuid CONSTRAINT webhook_outbox_id_not_null NOT NULL,
    type text CONSTRAINT webhook_outbox_type_not_null NOT NULL,
    body text CONSTRAINT webhook_outbox_body_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT webhook_outbox_created_at_not_null NOT NULL,
    webhook_id uuid CONSTRAINT webhook_outbox_webhook_id_not_null NOT NULL
)
PARTITION BY LIST (webhook_id);

COMMENT ON TABLE public.callback_outbox IS 'Callbacks that wait: for Z-API''s webhooks (webhook_outbox), and for further ones.';

CREATE TABLE public.callback_settings (
    instance_id text NOT NULL,
    history_sync_url text,
    proxy_url text,
    message_filters text[] DEFAULT '{}'::text[] NOT NULL,
    callback_type_filters text[] DEFAULT '{}'::text[] NOT NULL
);

COMMENT ON TABLE public.callback_settings IS 'No row: nothing is set.';

COMMENT ON COLUMN public.callback_settings.proxy_url IS 'The webhook of ProxyFailureCallback, not a proxy.';

COMMENT ON COLUMN public.callback_settings.message_filters IS 'Messages that Z-API''s webhooks do not get, by Z-API''s names such as FILTER_FROM_GROUP.';

COMMENT ON COLUMN public.callback_settings.callback_type_filters IS 'Types of callbacks that Z-API''s webhooks do not get, such as FILTER_DELIVERY_CALLBACK.';

CREATE UNLOGGED TABLE public.chat_listings (
    instance_id text NOT NULL,
    page_size integer NOT NULL,
    phones text[] NOT NULL,
    made_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.chat_listings ALTER COLUMN phones SET STORAGE EXTERNAL;

CREATE TABLE public.chat_tags (
    instance_id text NOT NULL,
    phone text NOT NULL,
    tag_id bigint NOT NULL
);

CREATE TABLE public.chats (
    instance_id text NOT NULL,
    phone text NOT NULL,
    unread integer DEFAULT 0 NOT NULL,
    last_message_at timestamp with time zone DEFAULT '1970-01-01 00:00:00+00'::timestamp with time zone NOT NULL,
    archived boolean DEFAULT false NOT NULL,
    pinned boolean DEFAULT false NOT NULL,
    muted boolean DEFAULT false NOT NULL,
    hidden boolean DEFAULT false NOT NULL,
    cleared_at timestamp with time zone,
    note text,
    note_id text,
    note_created_at timestamp with time zone,
    note_updated_at timestamp with time zone,
    name text
)
WITH (fillfactor='80');

COMMENT ON COLUMN public.chats.name IS 'As the phone has it.';

CREATE TABLE public.chores (
    name text NOT NULL,
    node_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

CREATE TABLE public.connection_settings (
    instance_id text NOT NULL,
    fallback text DEFAULT 'off'::text NOT NULL,
    missing_receipts integer,
    of_messages integer,
    receipt_wait_seconds integer,
    receipt_missing_minutes integer DEFAULT 0 NOT NULL,
    receipts_seen_until timestamp with time zone,
    notify_refused boolean DEFAULT false NOT NULL,
    CONSTRAINT connection_settings_check CHECK ((missing_receipts <= of_messages)),
    CONSTRAINT connection_settings_fallback_check CHECK ((fallback = ANY (ARRAY['off'::text, 'same-number'::text, 'any'::text]))),
    CONSTRAINT receipts_are_seen_since_a_time CHECK (((receipt_missing_minutes = 0) OR (receipts_seen_until IS NOT NULL)))
);

COMMENT ON TABLE public.connection_settings IS 'Null, or no row: as the service is set.';

COMMENT ON COLUMN public.connection_settings.receipt_missing_minutes IS 'After so many a message without a receipt has a callback; 0: never.';

COMMENT ON COLUMN public.connection_settings.receipts_seen_until IS 'Messages that were accepted up to here have their receipt, or their callback.';

CREATE TABLE public.consents (
    instance_id text NOT NULL,
    phone text NOT NULL,
    status text NOT NULL,
    source text,
    note text,
    at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT consents_status_check CHECK ((status = ANY (ARRAY['granted'::text, 'revoked'::text])))
);

CREATE TABLE public.contacts (
    instance_id text NOT NULL,
    phone text NOT NULL,
    "position" bigint NOT NULL,
    name text,
    short text,
    vname text,
    notify text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.contacts ALTER COLUMN "position" ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.contacts_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.delivery_queues (
    instance_id text CONSTRAINT webhook_lines_instance_id_not_null NOT NULL,
    chat text CONSTRAINT webhook_lines_chat_not_null NOT NULL,
    pending integer CONSTRAINT webhook_lines_pending_not_null NOT NULL,
    next_position bigint CONSTRAINT webhook_lines_next_position_not_null NOT NULL,
    due_at timestamp with time zone,
    claim_id uuid,
    claimed_by text,
    attempts smallint CONSTRAINT webhook_lines_attempts_not_null NOT NULL,
    last_error text,
    failing_since timestamp with time zone,
    first_attempt_at timestamp with time zone,
    address text,
    webhook_id uuid CONSTRAINT webhook_lines_webhook_id_not_null NOT NULL
)
PARTITION BY LIST (webhook_id);

COMMENT ON TABLE public.delivery_queues IS 'Delivery queues: of Z-API''s webhooks (webhook_lines), and of further ones.';

CREATE TABLE public.event_log (
    id smallint DEFAULT 1 NOT NULL,
    generation bigint NOT NULL,
    after_position bigint NOT NULL,
    last_position bigint NOT NULL,
    server text,
    oldest_transaction_id bigint DEFAULT 0 NOT NULL,
    first_transaction_id bigint NOT NULL,
    CONSTRAINT event_log_id_check CHECK ((id = 1))
);

COMMENT ON COLUMN public.event_log.generation IS 'Random, at least 10^17; a new one begins on another server, or after a restore.';

COMMENT ON COLUMN public.event_log.after_position IS 'The last position before this generation.';

COMMENT ON COLUMN public.event_log.server IS 'The server and the table that the last batch was written to.';

COMMENT ON COLUMN public.event_log.oldest_transaction_id IS 'On this server, every event of an older transaction has a position.';

COMMENT ON COLUMN public.event_log.first_transaction_id IS 'Greater than every transaction id of an event without a position (0).';

CREATE TABLE public.event_log_expiry (
    account_id text NOT NULL,
    "position" bigint NOT NULL
);

CREATE TABLE public.event_log_generations (
    generation bigint NOT NULL,
    last_position bigint NOT NULL,
    ended_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.event_roads (
    name text NOT NULL,
    account_id text NOT NULL,
    wanted_until timestamp with time zone NOT NULL,
    transaction_id bigint DEFAULT 0 NOT NULL,
    sequence bigint DEFAULT 0 NOT NULL,
    node_id text,
    held_until timestamp with time zone
);

CREATE TABLE public.event_tickets (
    ticket_hash bytea NOT NULL,
    account_id text NOT NULL,
    token_hash bytea NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON COLUMN public.event_tickets.token_hash IS 'Of the token that asked for the ticket: it must still be right when the ticket is used, and afterwards.';

CREATE TABLE public.feature_settings (
    account_id text NOT NULL,
    instance_id text DEFAULT ''::text NOT NULL,
    settings jsonb NOT NULL
);

COMMENT ON TABLE public.feature_settings IS 'What an account or one of its instances sets; the row without an instance is for all of them.';

COMMENT ON COLUMN public.feature_settings.settings IS 'The keys of gateway/instances/feature_settings.py.';

CREATE TABLE public.further_delivery_queues (
    instance_id text CONSTRAINT webhook_lines_instance_id_not_null NOT NULL,
    chat text NOT NULL,
    pending integer CONSTRAINT webhook_lines_pending_not_null NOT NULL,
    next_position bigint CONSTRAINT webhook_lines_next_position_not_null NOT NULL,
    due_at timestamp with time zone,
    claim_id uuid,
    claimed_by text,
    attempts smallint DEFAULT 0 CONSTRAINT webhook_lines_attempts_not_null NOT NULL,
    last_error text,
    failing_since timestamp with time zone,
    first_attempt_at timestamp with time zone,
    address text,
    webhook_id uuid NOT NULL,
    CONSTRAINT due_when_pending CHECK (((due_at IS NULL) = (pending = 0)))
)
WITH (fillfactor='70');

CREATE TABLE public.further_outbox (
    instance_id text CONSTRAINT webhook_outbox_instance_id_not_null NOT NULL,
    chat text NOT NULL,
    "position" bigint NOT NULL,
    id uuid CONSTRAINT webhook_outbox_id_not_null NOT NULL,
    type text CONSTRAINT webhook_outbox_type_not_null NOT NULL,
    body text CONSTRAINT webhook_outbox_body_not_null NOT NULL,
    created_at timestamp with time zone DEFAULT now() CONSTRAINT webhook_outbox_created_at_not_null NOT NULL,
    webhook_id uuid NOT NULL
);

CREATE TABLE public.idempotency_keys (
    instance_id text NOT NULL,
    key text NOT NULL,
    body_hash bytea NOT NULL,
    zaap_id text NOT NULL,
    message_id text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.identities (
    instance_id text NOT NULL,
    lid text NOT NULL,
    phone text,
    name text,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.inbox (
    instance_id text NOT NULL,
    event_id text NOT NULL,
    "position" bigint NOT NULL,
    chat text NOT NULL,
    own_phone text,
    body jsonb,
    error text,
    taken_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='70');

ALTER TABLE public.inbox ALTER COLUMN "position" ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.inbox_position_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.initial_data_webhooks (
    instance_id text NOT NULL,
    url text NOT NULL
);

COMMENT ON TABLE public.initial_data_webhooks IS 'The address that /me shows as initialDataCallbackUrl.';

CREATE TABLE public.instance_base_urls (
    instance_id text NOT NULL,
    base_url text NOT NULL,
    reach smallint NOT NULL,
    noted_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.instance_base_urls IS 'Learnt from authenticated requests while GATEWAY_PUBLIC_URL is unset; for links to media.';

COMMENT ON COLUMN public.instance_base_urls.reach IS '0: this machine, 1: a private network, 2: the Internet.';

COMMENT ON COLUMN public.instance_base_urls.noted_at IS 'Refreshed at most once a day while the same address is in use.';

CREATE TABLE public.instance_connections (
    instance_id text,
    state text,
    phone text,
    reason text,
    changed_at timestamp with time zone,
    down_since timestamp with time zone,
    id text DEFAULT upper(replace((gen_random_uuid())::text, '-'::text, ''::text)) NOT NULL,
    owner_instance_id text NOT NULL,
    provider text NOT NULL,
    settings_ciphertext bytea,
    settings_key_id text,
    "position" integer DEFAULT 1 NOT NULL,
    last_error text,
    last_error_at timestamp with time zone,
    health text DEFAULT 'unknown'::text NOT NULL,
    health_reason text,
    health_since timestamp with time zone,
    checked_at timestamp with time zone,
    latency_ms integer,
    error_rate real,
    repairs integer DEFAULT 0 NOT NULL,
    next_repair_at timestamp with time zone,
    reported bigint DEFAULT 0 NOT NULL,
    stored bigint DEFAULT 0 NOT NULL,
    processed bigint DEFAULT 0 NOT NULL,
    CONSTRAINT active_for_its_owner CHECK ((instance_id = owner_instance_id)),
    CONSTRAINT known_health CHECK ((health = ANY (ARRAY['healthy'::text, 'unhealthy'::text, 'recovering'::text, 'unknown'::text]))),
    CONSTRAINT sealed_settings_have_a_key CHECK (((settings_ciphertext IS NULL) = (settings_key_id IS NULL)))
);

COMMENT ON COLUMN public.instance_connections.instance_id IS 'The instance whose active connection it is; null on a standby.';

COMMENT ON COLUMN public.instance_connections.state IS 'The last one that a session reported; null before the first.';

COMMENT ON COLUMN public.instance_connections.down_since IS 'Since when the session is not connected, whatever state it had meanwhile; null: it is connected, or its state has not changed since this is noted.';

COMMENT ON COLUMN public.instance_connections.owner_instance_id IS 'The instance that owns the connection.';

COMMENT ON COLUMN public.instance_connections.settings_ciphertext IS 'The settings of the provider, encrypted; null: instances.provider_settings, until they are sealed.';

COMMENT ON COLUMN public.instance_connections.health IS 'Its circuit breaker: healthy is closed, unhealthy open, recovering half-open.';

COMMENT ON COLUMN public.instance_connections.error_rate IS 'The share of the latest checks that failed.';

COMMENT ON COLUMN public.instance_connections.repairs IS 'How often it was opened again since it was well.';

COMMENT ON COLUMN public.instance_connections.reported IS 'Events that its sessions reported; stored and processed count these.';

CREATE TABLE public.instance_leases (
    instance_id text NOT NULL,
    node_id text,
    epoch bigint NOT NULL,
    taken_at timestamp with time zone DEFAULT now() NOT NULL
)
WITH (fillfactor='50');

CREATE TABLE public.instance_lines (
    instance_id text NOT NULL,
    next_sequence bigint DEFAULT 1 NOT NULL,
    reordered bigint DEFAULT 0 NOT NULL,
    connected boolean DEFAULT false NOT NULL,
    paused boolean DEFAULT false NOT NULL,
    idle boolean DEFAULT false NOT NULL,
    hold_until timestamp with time zone,
    hold_reason text,
    front_position bigint DEFAULT 0 NOT NULL,
    hold_kind text,
    queue_order text,
    unknown_quote text,
    pause_changed_at timestamp with time zone,
    first_contacts_until timestamp with time zone,
    first_contacts_reason text,
    CONSTRAINT known_hold_kind CHECK ((hold_kind = ANY (ARRAY['daily_limit'::text, 'linking'::text, 'restricted'::text]))),
    CONSTRAINT known_order CHECK ((queue_order = ANY (ARRAY['chat'::text, 'strict'::text]))),
    CONSTRAINT known_unknown_quote CHECK ((unknown_quote = ANY (ARRAY['omit'::text, 'quote'::text])))
)
WITH (fillfactor='50');

COMMENT ON COLUMN public.instance_lines.reordered IS 'Counts the times a waiting row appeared before rows already claimed; a claimer that remembers an older value starts from the front again.';

COMMENT ON COLUMN public.instance_lines.front_position IS 'Where the last message moved to the front went; sequence numbers begin at 1.';

COMMENT ON COLUMN public.instance_lines.queue_order IS 'Null: the service''s own order.';

COMMENT ON COLUMN public.instance_lines.unknown_quote IS 'Null: the service''s own setting.';

COMMENT ON COLUMN public.instance_lines.pause_changed_at IS 'When the queue was paused or resumed last; null: before this was noted.';

COMMENT ON COLUMN public.instance_lines.first_contacts_until IS 'Until then WhatsApp lets the number write to known chats only.';

CREATE TABLE public.instance_removals (
    instance_id text NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.kafka_offsets (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL
);

CREATE TABLE public.media (
    instance_id text NOT NULL,
    id text NOT NULL,
    mime_type text NOT NULL,
    file_name text,
    size_bytes bigint NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON COLUMN public.media.id IS 'SHA-256 of the content, in hex';

CREATE TABLE public.media_deferred (
    id text NOT NULL,
    folder_id uuid NOT NULL,
    size_bytes bigint NOT NULL,
    deferred_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.media_deferred IS 'Content that is in the folder of a node and not yet in the bucket; its file is deleted there only after its row.';

COMMENT ON COLUMN public.media_deferred.id IS 'SHA-256 of the content, in hex';

CREATE TABLE public.media_folders (
    id uuid NOT NULL,
    node_id text NOT NULL,
    internal_address text NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.media_folders IS 'Folders in which nodes keep files until the bucket takes them, and who serves them.';

COMMENT ON COLUMN public.media_folders.id IS 'Stored in the folder itself, so that it stays the same when the node gets another name.';

COMMENT ON COLUMN public.media_folders.internal_address IS 'The internal listener of the node that looked into the folder last.';

CREATE TABLE public.media_leftovers (
    id text NOT NULL,
    noted_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.message_attempts (
    instance_id text NOT NULL,
    message_id text NOT NULL,
    started_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    error text,
    duration_seconds double precision GENERATED ALWAYS AS ((EXTRACT(epoch FROM (ended_at - started_at)))::double precision) STORED,
    connection_id text
);

CREATE TABLE public.message_ids (
    instance_id text NOT NULL,
    message_id text NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    provider_message_id text
);

ALTER TABLE public.message_queue ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.message_queue_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.message_receipts (
    instance_id text NOT NULL,
    message_id text NOT NULL,
    participant text NOT NULL,
    recorded_at timestamp with time zone NOT NULL,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    played_at timestamp with time zone
);

CREATE TABLE public.messages (
    instance_id text NOT NULL,
    message_id text NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() NOT NULL,
    created_at timestamp with time zone NOT NULL,
    attempt_started_at timestamp with time zone,
    sent_at timestamp with time zone,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    played_at timestamp with time zone,
    sequence_number bigint,
    version smallint NOT NULL,
    attempts smallint DEFAULT 0 NOT NULL,
    from_me boolean NOT NULL,
    status text NOT NULL,
    zaap_id text,
    provider_message_id text,
    phone text NOT NULL,
    sender text,
    type text NOT NULL,
    payload jsonb NOT NULL,
    provider_data bytea,
    failed_at timestamp with time zone,
    error text,
    sent_files text,
    connection_id text,
    CONSTRAINT known_status CHECK ((status = ANY (ARRAY['canceled'::text, 'failed'::text, 'received'::text, 'sent'::text])))
)
PARTITION BY RANGE (recorded_at);

COMMENT ON COLUMN public.messages.sent_files IS 'The types, names and measures of the files that were sent, as JSON by the text that names each.';

CREATE VIEW public.message_states AS
 SELECT m.instance_id,
    m.message_id,
    m.zaap_id,
    m.phone,
    m.sender,
    m.from_me,
    m.type,
    m.payload,
        CASE
            WHEN (m.status <> 'sent'::text) THEN m.status
            WHEN (m.played_at IS NOT NULL) THEN 'played'::text
            WHEN (m.read_at IS NOT NULL) THEN 'read'::text
            WHEN (m.delivered_at IS NOT NULL) THEN 'delivered'::text
            ELSE 'sent'::text
        END AS status,
    m.attempts,
    m.error,
    m.recorded_at,
    m.created_at,
    m.attempt_started_at,
    m.sent_at,
    m.delivered_at,
    m.read_at,
    m.played_at,
    m.failed_at,
    m.sequence_number,
    NULL::smallint AS priority,
    NULL::smallint AS max_attempts,
    NULL::timestamp with time zone AS due_at,
    NULL::timestamp with time zone AS expires_at,
    true AS settled,
    false AS in_queue
   FROM public.messages m
UNION ALL
 SELECT q.instance_id,
    q.message_id,
    q.zaap_id,
    q.phone,
    NULL::text AS sender,
    true AS from_me,
    q.type,
    q.payload,
    public.shown_status(q.*) AS status,
    q.attempts,
    q.last_error AS error,
    q.updated_at AS recorded_at,
    q.created_at,
    q.attempt_started_at,
    NULL::timestamp with time zone AS sent_at,
    NULL::timestamp with time zone AS delivered_at,
    NULL::timestamp with time zone AS read_at,
    NULL::timestamp with time zone AS played_at,
        CASE
            WHEN (q.status = 'failed'::text) THEN q.updated_at
            ELSE NULL::timestamp with time zone
        END AS failed_at,
    q.sequence_number,
    q.priority,
    q.max_attempts,
    q.due_at,
    q.expires_at,
    (q.status = 'failed'::text) AS settled,
    true AS in_queue
   FROM public.message_queue q;

CREATE TABLE public.messages_default (
    instance_id text CONSTRAINT messages_instance_id_not_null NOT NULL,
    message_id text CONSTRAINT messages_message_id_not_null NOT NULL,
    recorded_at timestamp with time zone DEFAULT now() CONSTRAINT messages_recorded_at_not_null NOT NULL,
    created_at timestamp with time zone CONSTRAINT messages_created_at_not_null NOT NULL,
    attempt_started_at timestamp with time zone,
    sent_at timestamp with time zone,
    delivered_at timestamp with time zone,
    read_at timestamp with time zone,
    played_at timestamp with time zone,
    sequence_number bigint,
    version smallint CONSTRAINT messages_version_not_null NOT NULL,
    attempts smallint DEFAULT 0 CONSTRAINT messages_attempts_not_null NOT NULL,
    from_me boolean CONSTRAINT messages_from_me_not_null NOT NULL,
    status text CONSTRAINT messages_status_not_null NOT NULL,
    zaap_id text,
    provider_message_id text,
    phone text CONSTRAINT messages_phone_not_null NOT NULL,
    sender text,
    type text CONSTRAINT messages_type_not_null NOT NULL,
    payload jsonb CONSTRAINT messages_payload_not_null NOT NULL,
    provider_data bytea,
    failed_at timestamp with time zone,
    error text,
    sent_files text,
    connection_id text,
    CONSTRAINT known_status CHECK ((status = ANY (ARRAY['canceled'::text, 'failed'::text, 'received'::text, 'sent'::text])))
);

CREATE TABLE public.nodes (
    id text NOT NULL,
    internal_address text,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    life uuid DEFAULT gen_random_uuid() NOT NULL,
    signed_life uuid,
    opens_payloads boolean DEFAULT false NOT NULL,
    role text,
    version text,
    described_life uuid,
    connections_life uuid
);

COMMENT ON COLUMN public.nodes.life IS 'The process that goes by this name now: an earlier one can no longer renew.';

COMMENT ON COLUMN public.nodes.signed_life IS 'Equals life where that process signs calls with a nonce and a digest (X-Relay-Signature "2:").';

COMMENT ON COLUMN public.nodes.opens_payloads IS 'The program of this node opens encrypted content; a program of an earlier release does not.';

COMMENT ON COLUMN public.nodes.role IS 'What the process does: all, api, sender or webhooks.';

COMMENT ON COLUMN public.nodes.version IS 'Of the program.';

COMMENT ON COLUMN public.nodes.described_life IS 'The process whose role and version these are: one of the release before writes neither.';

COMMENT ON COLUMN public.nodes.connections_life IS 'The process that knows connections: one of the release before does not write it.';

CREATE TABLE public.payload_seals (
    account_id text NOT NULL,
    target text NOT NULL,
    key_ids text[] NOT NULL,
    "position" jsonb,
    changed bigint DEFAULT 0 NOT NULL,
    unopened bigint DEFAULT 0 NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    pass_at timestamp with time zone,
    finished_at timestamp with time zone,
    checked_at timestamp with time zone
);

COMMENT ON TABLE public.payload_seals IS 'Accounts whose stored content is encrypted, or was: how far the stored rows follow the rule.';

COMMENT ON COLUMN public.payload_seals.target IS 'The key under which every row is to be; an empty text: none is to be encrypted.';

COMMENT ON COLUMN public.payload_seals.key_ids IS 'The keys that some row may still need.';

COMMENT ON COLUMN public.payload_seals."position" IS 'Where the current pass goes on; null: at the beginning.';

COMMENT ON COLUMN public.payload_seals.changed IS 'Rows that the current pass changed.';

COMMENT ON COLUMN public.payload_seals.unopened IS 'Rows of the current pass that no key opened.';

COMMENT ON COLUMN public.payload_seals.started_at IS 'When the target was set.';

COMMENT ON COLUMN public.payload_seals.pass_at IS 'When the current pass began.';

COMMENT ON COLUMN public.payload_seals.finished_at IS 'Since when every row follows the rule; null: not yet.';

COMMENT ON COLUMN public.payload_seals.checked_at IS 'When a whole pass last found nothing to change.';

CREATE TABLE public.person_searches (
    instance_id text NOT NULL,
    names text[] NOT NULL,
    asked_at timestamp with time zone DEFAULT now() NOT NULL,
    until_at timestamp with time zone DEFAULT now() NOT NULL,
    worked_at timestamp with time zone DEFAULT now() NOT NULL,
    pass_number integer DEFAULT 1 NOT NULL,
    "position" jsonb,
    changed bigint DEFAULT 0 NOT NULL,
    canceled bigint DEFAULT 0 NOT NULL,
    sending boolean DEFAULT false NOT NULL
);

COMMENT ON TABLE public.person_searches IS 'Erased people whose numbers are still being removed from other chats; a finished search has no row.';

COMMENT ON COLUMN public.person_searches.names IS 'The numbers and lids of the person, sorted.';

COMMENT ON COLUMN public.person_searches.until_at IS 'A pass looks at rows that were stored until then.';

COMMENT ON COLUMN public.person_searches."position" IS 'Where the pass goes on; null: at the beginning.';

COMMENT ON COLUMN public.person_searches.changed IS 'Rows that the current pass had to change.';

COMMENT ON COLUMN public.person_searches.canceled IS 'Messages to other chats that were canceled.';

COMMENT ON COLUMN public.person_searches.sending IS 'A message to the person was being sent; the person is erased again when it was sent.';

CREATE TABLE public.phone_links (
    instance_id text NOT NULL,
    token_hash bytea NOT NULL,
    phones text[] DEFAULT '{}'::text[] NOT NULL,
    max_codes integer NOT NULL,
    codes_served integer DEFAULT 0 NOT NULL,
    last_code_hash bytea,
    last_code_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    used_at timestamp with time zone,
    linking text,
    unlinked_at timestamp with time zone,
    CONSTRAINT phone_links_check CHECK (((used_at IS NULL) = (linking IS NULL))),
    CONSTRAINT phone_links_linking_check CHECK ((linking = ANY (ARRAY['accepted'::text, 'held'::text, 'confirmed'::text, 'wrong_phone'::text])))
);

COMMENT ON TABLE public.phone_links IS 'The latest link of each instance; a new one replaces it.';

COMMENT ON COLUMN public.phone_links.token_hash IS 'SHA-256 of the token, which is shown once.';

COMMENT ON COLUMN public.phone_links.phones IS 'The spellings of the only number that may link; empty: any.';

COMMENT ON COLUMN public.phone_links.last_code_hash IS 'Of the latest code: the same code counts once.';

COMMENT ON COLUMN public.phone_links.used_at IS 'When a phone was linked, by whatever way: the link is over then.';

COMMENT ON COLUMN public.phone_links.linking IS 'What decide_linking_v1 decided: a held linking waits for the owner; a wrong phone is logged out.';

COMMENT ON COLUMN public.phone_links.unlinked_at IS 'When that phone was logged out again.';

CREATE TABLE public.profile_pictures (
    instance_id text NOT NULL,
    phone text NOT NULL,
    url text,
    refresh_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.profile_pictures IS 'What WhatsApp answered when it was asked for the picture of a person or group.';

COMMENT ON COLUMN public.profile_pictures.phone IS 'The name of the chat: a phone number, a lid, or a group.';

COMMENT ON COLUMN public.profile_pictures.url IS 'A link of WhatsApp; null: there is no picture, or it is hidden.';

COMMENT ON COLUMN public.profile_pictures.refresh_at IS 'From then on a message has the picture looked up again.';

COMMENT ON COLUMN public.profile_pictures.expires_at IS 'When the link ends; the row is deleted.';

CREATE TABLE public.proxy_checks (
    id bigint NOT NULL,
    instance_id text NOT NULL,
    latency_ms integer,
    error text,
    checked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT latency_or_error CHECK (((latency_ms IS NULL) = (error IS NOT NULL)))
);

ALTER TABLE public.proxy_checks ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.proxy_checks_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.schema_functions (
    name text NOT NULL,
    sha256 text NOT NULL,
    released boolean NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON COLUMN public.schema_functions.released IS 'A released function is never replaced; one in development is, when its text changed.';

CREATE TABLE public.schema_migrations (
    number integer NOT NULL,
    name text NOT NULL,
    compatible_with integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.sign_in_attempts (
    login_hash bytea NOT NULL,
    address text NOT NULL,
    failures integer DEFAULT 0 NOT NULL,
    retry_at timestamp with time zone DEFAULT now() NOT NULL,
    attempted_at timestamp with time zone DEFAULT now() NOT NULL,
    succeeded_at timestamp with time zone
);

COMMENT ON TABLE public.sign_in_attempts IS 'Failures of a login from an address: only this pair waits, so that guesses lock no user out.';

COMMENT ON COLUMN public.sign_in_attempts.login_hash IS 'SHA-256 of what was typed as login, whether or not a user has it.';

COMMENT ON COLUMN public.sign_in_attempts.succeeded_at IS 'The latest sign-in: such a pair has a budget of its own, which guesses cannot use up.';

CREATE TABLE public.sign_in_links (
    token_hash bytea NOT NULL,
    user_id text NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON TABLE public.sign_in_links IS 'Links that open one session, from this machine alone.';

CREATE TABLE public.tags (
    instance_id text NOT NULL,
    id bigint NOT NULL,
    name text NOT NULL,
    color smallint NOT NULL,
    tag_key uuid
);

COMMENT ON COLUMN public.tags.tag_key IS 'Made before the row is written. A statement that is repeated because its answer was lost finds the row by it.';

ALTER TABLE public.tags ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.tags_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.traffic (
    account_id text NOT NULL,
    instance_id text NOT NULL,
    at timestamp with time zone NOT NULL,
    accepted integer NOT NULL,
    sent integer NOT NULL,
    received integer NOT NULL,
    callbacks_delivered integer NOT NULL,
    callbacks_failed integer NOT NULL,
    failures jsonb NOT NULL,
    latency_ms bigint NOT NULL,
    latency_counts integer[] NOT NULL,
    waiting_max integer DEFAULT 0 NOT NULL,
    callbacks_timed integer DEFAULT 0 NOT NULL,
    callback_lag_ms bigint DEFAULT 0 NOT NULL,
    callback_lag_max_ms bigint DEFAULT 0 NOT NULL
);

COMMENT ON TABLE public.traffic IS 'Sums that the nodes write once per period; an instance without activity has no row.';

COMMENT ON COLUMN public.traffic.instance_id IS 'Empty: the sums of all instances of the account, which are read without theirs.';

COMMENT ON COLUMN public.traffic.at IS 'The beginning of the period.';

COMMENT ON COLUMN public.traffic.failures IS 'How many messages failed for good, by class of error.';

COMMENT ON COLUMN public.traffic.latency_ms IS 'Milliseconds from acceptance, or the scheduled time, to WhatsApp''s receipt; the sum over `sent`.';

COMMENT ON COLUMN public.traffic.latency_counts IS 'How many of `sent` took at most each bound of gateway/observability/traffic.py, and how many took longer.';

COMMENT ON COLUMN public.traffic.waiting_max IS 'The most messages that waited at one of the samples of the period; of an account, of all its queues at once.';

COMMENT ON COLUMN public.traffic.callbacks_timed IS 'How many of `callbacks_delivered` have a lag: a node of the release before counts none.';

COMMENT ON COLUMN public.traffic.callback_lag_ms IS 'Milliseconds from the event to the answer of the receiver; the sum over `callbacks_timed`.';

COMMENT ON COLUMN public.traffic.callback_lag_max_ms IS 'The longest lag of the period.';

CREATE TABLE public.traffic_flushes (
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.traffic_flushes IS 'The ids of recent flushes: a flush that is repeated, or arrives late, writes nothing.';

CREATE TABLE public.user_sessions (
    token_hash bytea NOT NULL,
    user_id text NOT NULL,
    address text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_seen_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL
);

COMMENT ON COLUMN public.user_sessions.expires_at IS 'The last end; a session that is not used ends earlier.';

CREATE TABLE public.users (
    id text NOT NULL,
    account_id text,
    email text NOT NULL,
    name text NOT NULL,
    role text NOT NULL,
    password_hash text,
    totp_ciphertext bytea,
    totp_key_id text,
    totp_step bigint DEFAULT 0 NOT NULL,
    language text DEFAULT 'pt-BR'::text NOT NULL,
    disabled_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT users_check CHECK (((role = 'operator'::text) = (account_id IS NULL))),
    CONSTRAINT users_check1 CHECK (((totp_ciphertext IS NULL) = (totp_key_id IS NULL))),
    CONSTRAINT users_language_check CHECK ((language = ANY (ARRAY['pt-BR'::text, 'en'::text, 'es'::text]))),
    CONSTRAINT users_role_check CHECK ((role = ANY (ARRAY['operator'::text, 'owner'::text, 'agent'::text, 'viewer'::text])))
);

COMMENT ON COLUMN public.users.account_id IS 'Null for operators, who see all accounts.';

COMMENT ON COLUMN public.users.email IS 'With which the user signs in; unique in any capitals.';

COMMENT ON COLUMN public.users.password_hash IS 'argon2id; null where only a sign-in link opens a session.';

COMMENT ON COLUMN public.users.totp_ciphertext IS 'The secret of the second factor, encrypted as tokens are.';

COMMENT ON COLUMN public.users.totp_step IS 'The time step of the latest code: no code is taken twice.';

CREATE TABLE public.webhook_dead_letters (
    instance_id text NOT NULL,
    id uuid NOT NULL,
    chat text NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    attempts smallint NOT NULL,
    last_error text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    died_at timestamp with time zone DEFAULT now() NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    retries smallint DEFAULT 0 NOT NULL,
    first_attempt_at timestamp with time zone,
    webhook_id uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL,
    retried_at timestamp with time zone,
    CONSTRAINT known_status CHECK ((status = ANY (ARRAY['pending'::text, 'processing'::text, 'success'::text, 'failed'::text, 'discarded'::text])))
);

COMMENT ON COLUMN public.webhook_dead_letters.webhook_id IS 'The webhook that did not get it; zeros: one that is a column of instances.';

COMMENT ON COLUMN public.webhook_dead_letters.retried_at IS 'When a caller last retried it.';

CREATE TABLE public.webhook_deliveries (
    instance_id text NOT NULL,
    number bigint NOT NULL,
    callback_id uuid NOT NULL,
    type text NOT NULL,
    chat text NOT NULL,
    target text NOT NULL,
    attempt smallint NOT NULL,
    taken boolean NOT NULL,
    status smallint,
    error text,
    answer text,
    duration_ms integer NOT NULL,
    posted_at timestamp with time zone DEFAULT now() NOT NULL,
    webhook_id uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL
);

COMMENT ON COLUMN public.webhook_deliveries.webhook_id IS 'The webhook that it was posted to; zeros: one that is a column of instances.';

ALTER TABLE public.webhook_deliveries ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.webhook_deliveries_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhook_events (
    account_id text NOT NULL,
    transaction_id bigint DEFAULT ((pg_current_xact_id())::text)::bigint NOT NULL,
    sequence bigint NOT NULL,
    instance_id text NOT NULL,
    chat text NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    "position" bigint
);

COMMENT ON COLUMN public.webhook_events."position" IS 'Order in which the event became visible; null until assigned, 0 before positions existed.';

ALTER TABLE public.webhook_events ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.webhook_events_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.webhook_lines (
    instance_id text NOT NULL,
    chat text NOT NULL,
    pending integer NOT NULL,
    next_position bigint NOT NULL,
    due_at timestamp with time zone,
    claim_id uuid,
    claimed_by text,
    attempts smallint DEFAULT 0 NOT NULL,
    last_error text,
    failing_since timestamp with time zone,
    first_attempt_at timestamp with time zone,
    address text,
    webhook_id uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL,
    CONSTRAINT due_when_pending CHECK (((due_at IS NULL) = (pending = 0)))
)
WITH (fillfactor='70');

COMMENT ON COLUMN public.webhook_lines.failing_since IS 'Nothing of the chat was taken since.';

COMMENT ON COLUMN public.webhook_lines.first_attempt_at IS 'Of the callback at the head.';

COMMENT ON COLUMN public.webhook_lines.address IS 'The account and address that keep the chat waiting; all of them go on when it answers.';

CREATE TABLE public.webhook_outbox (
    instance_id text NOT NULL,
    chat text NOT NULL,
    "position" bigint NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    webhook_id uuid DEFAULT '00000000-0000-0000-0000-000000000000'::uuid NOT NULL
);

CREATE TABLE public.webhooks (
    id uuid NOT NULL,
    instance_id text NOT NULL,
    url text NOT NULL,
    types text[],
    enabled boolean DEFAULT true NOT NULL,
    header_names text[] DEFAULT '{}'::text[] NOT NULL,
    headers_ciphertext bytea,
    headers_key_id text,
    secret_ciphertext bytea,
    secret_key_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.webhooks IS 'Webhooks beside the one per type that Z-API has; those are columns of instances.';

COMMENT ON COLUMN public.webhooks.types IS 'The types of callbacks that it gets; null: all.';

CREATE TABLE public.whatsapp_numbers (
    instance_id text NOT NULL,
    spelling text NOT NULL,
    phone text NOT NULL,
    learned_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON COLUMN public.whatsapp_numbers.spelling IS 'A number as callers write it; a number without WhatsApp has no row.';

COMMENT ON COLUMN public.whatsapp_numbers.phone IS 'The number by which WhatsApp knows it.';

CREATE TABLE sandbox.entities (
    instance_id text NOT NULL,
    kind text NOT NULL,
    id text NOT NULL,
    version bigint DEFAULT 1 NOT NULL,
    body jsonb NOT NULL
);

CREATE TABLE sandbox.events (
    instance_id text NOT NULL,
    id bigint NOT NULL,
    due_at timestamp with time zone NOT NULL,
    body jsonb NOT NULL
);

ALTER TABLE sandbox.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME sandbox.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE sandbox.marks (
    instance_id text NOT NULL,
    message_id text NOT NULL,
    marks jsonb NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE sandbox.phones (
    instance_id text NOT NULL,
    phone text NOT NULL,
    state text NOT NULL,
    version bigint DEFAULT 0 NOT NULL,
    epoch bigint DEFAULT 0 NOT NULL,
    holder text,
    secret text NOT NULL,
    faults jsonb DEFAULT '[]'::jsonb NOT NULL,
    typing_to text,
    typing_until timestamp with time zone,
    CONSTRAINT phones_state_check CHECK ((state = ANY (ARRAY['connected'::text, 'disconnected'::text, 'unpaired'::text, 'logged_out'::text])))
);

CREATE TABLE sandbox.sent (
    instance_id text NOT NULL,
    number bigint NOT NULL,
    message_id text NOT NULL,
    seen integer DEFAULT 1 NOT NULL,
    type text NOT NULL,
    phone text NOT NULL,
    payload jsonb NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL
);

ALTER TABLE sandbox.sent ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME sandbox.sent_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE whatsmeow.devices (
    instance_id text NOT NULL,
    device text NOT NULL,
    kept_in text NOT NULL,
    linked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT devices_kept_in_check CHECK ((kept_in = ANY (ARRAY['postgres'::text, 'file'::text])))
);

CREATE TABLE whatsmeow.events (
    instance_id text NOT NULL,
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    name text NOT NULL,
    body jsonb NOT NULL,
    event_key uuid,
    error text
);

COMMENT ON COLUMN whatsmeow.events.event_key IS 'Made before the row is written. A statement that is repeated because its answer was lost finds the row by it.';

COMMENT ON COLUMN whatsmeow.events.error IS 'Why the event cannot be read; null: it was not tried yet.';

ALTER TABLE whatsmeow.events ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME whatsmeow.events_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE whatsmeow.polls (
    instance_id text NOT NULL,
    provider_message_id text NOT NULL,
    options text[] NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE whatsmeow.sends (
    instance_id text NOT NULL,
    provider_message_id text NOT NULL,
    message_id text NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE ONLY public.delivery_queues ATTACH PARTITION public.further_delivery_queues DEFAULT;

ALTER TABLE ONLY public.callback_outbox ATTACH PARTITION public.further_outbox DEFAULT;

ALTER TABLE ONLY public.messages ATTACH PARTITION public.messages_default DEFAULT;

ALTER TABLE ONLY public.delivery_queues ATTACH PARTITION public.webhook_lines FOR VALUES IN ('00000000-0000-0000-0000-000000000000');

ALTER TABLE ONLY public.callback_outbox ATTACH PARTITION public.webhook_outbox FOR VALUES IN ('00000000-0000-0000-0000-000000000000');

ALTER TABLE ONLY baileys.devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY baileys.events
    ADD CONSTRAINT events_instance_id_event_key_key UNIQUE (instance_id, event_key);

ALTER TABLE ONLY baileys.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY baileys.fences
    ADD CONSTRAINT fences_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY baileys.keys
    ADD CONSTRAINT keys_pkey PRIMARY KEY (instance_id, kind, id);

ALTER TABLE ONLY baileys.polls
    ADD CONSTRAINT polls_pkey PRIMARY KEY (instance_id, provider_message_id);

ALTER TABLE ONLY baileys.received
    ADD CONSTRAINT received_pkey PRIMARY KEY (instance_id, mark);

ALTER TABLE ONLY baileys.sends
    ADD CONSTRAINT sends_pkey PRIMARY KEY (instance_id, provider_message_id);

ALTER TABLE ONLY public.abandoned_flushes
    ADD CONSTRAINT abandoned_flushes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_client_token_hash_key UNIQUE (client_token_hash);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_partner_token_hash_key UNIQUE (partner_token_hash);

ALTER TABLE ONLY public.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_key_uses
    ADD CONSTRAINT api_key_uses_pkey PRIMARY KEY (key_id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.broadcast_lists
    ADD CONSTRAINT broadcast_lists_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY public.callback_settings
    ADD CONSTRAINT callback_settings_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.chat_listings
    ADD CONSTRAINT chat_listings_pkey PRIMARY KEY (instance_id, page_size);

ALTER TABLE ONLY public.chat_tags
    ADD CONSTRAINT chat_tags_pkey PRIMARY KEY (instance_id, phone, tag_id);

ALTER TABLE ONLY public.chats
    ADD CONSTRAINT chats_pkey PRIMARY KEY (instance_id, phone);

ALTER TABLE ONLY public.chores
    ADD CONSTRAINT chores_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.connection_settings
    ADD CONSTRAINT connection_settings_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.consents
    ADD CONSTRAINT consents_pkey PRIMARY KEY (instance_id, phone);

ALTER TABLE ONLY public.contacts
    ADD CONSTRAINT contacts_pkey PRIMARY KEY (instance_id, phone);

ALTER TABLE ONLY public.event_log_expiry
    ADD CONSTRAINT event_log_expiry_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.event_log_generations
    ADD CONSTRAINT event_log_generations_pkey PRIMARY KEY (generation);

ALTER TABLE ONLY public.event_log
    ADD CONSTRAINT event_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.event_roads
    ADD CONSTRAINT event_roads_pkey PRIMARY KEY (account_id, name);

ALTER TABLE ONLY public.event_tickets
    ADD CONSTRAINT event_tickets_pkey PRIMARY KEY (ticket_hash);

ALTER TABLE ONLY public.feature_settings
    ADD CONSTRAINT feature_settings_pkey PRIMARY KEY (account_id, instance_id);

ALTER TABLE ONLY public.further_delivery_queues
    ADD CONSTRAINT further_delivery_queues_pkey PRIMARY KEY (webhook_id, chat);

ALTER TABLE ONLY public.further_outbox
    ADD CONSTRAINT further_outbox_pkey PRIMARY KEY (webhook_id, chat, "position");

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (instance_id, key);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (instance_id, lid);

ALTER TABLE ONLY public.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (instance_id, event_id);

ALTER TABLE ONLY public.initial_data_webhooks
    ADD CONSTRAINT initial_data_webhooks_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instance_base_urls
    ADD CONSTRAINT instance_base_urls_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instance_connections
    ADD CONSTRAINT instance_connections_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.instance_leases
    ADD CONSTRAINT instance_leases_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instance_lines
    ADD CONSTRAINT instance_lines_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instance_removals
    ADD CONSTRAINT instance_removals_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.kafka_offsets
    ADD CONSTRAINT kafka_offsets_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY public.media_deferred
    ADD CONSTRAINT media_deferred_pkey PRIMARY KEY (id, folder_id);

ALTER TABLE ONLY public.media_folders
    ADD CONSTRAINT media_folders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.media_leftovers
    ADD CONSTRAINT media_leftovers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.media
    ADD CONSTRAINT media_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY public.message_attempts
    ADD CONSTRAINT message_attempts_pkey PRIMARY KEY (instance_id, message_id, started_at);

ALTER TABLE ONLY public.message_ids
    ADD CONSTRAINT message_ids_pkey PRIMARY KEY (instance_id, message_id);

ALTER TABLE ONLY public.message_queue
    ADD CONSTRAINT message_queue_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY public.message_receipts
    ADD CONSTRAINT message_receipts_pkey PRIMARY KEY (instance_id, message_id, participant);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (instance_id, message_id, recorded_at);

ALTER TABLE ONLY public.messages_default
    ADD CONSTRAINT messages_default_pkey PRIMARY KEY (instance_id, message_id, recorded_at);

ALTER TABLE ONLY public.nodes
    ADD CONSTRAINT nodes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.instance_connections
    ADD CONSTRAINT one_active_connection UNIQUE (instance_id);

ALTER TABLE ONLY public.payload_seals
    ADD CONSTRAINT payload_seals_pkey PRIMARY KEY (account_id);

ALTER TABLE ONLY public.person_searches
    ADD CONSTRAINT person_searches_pkey PRIMARY KEY (instance_id, names);

ALTER TABLE ONLY public.phone_links
    ADD CONSTRAINT phone_links_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY public.phone_links
    ADD CONSTRAINT phone_links_token_hash_key UNIQUE (token_hash);

ALTER TABLE ONLY public.profile_pictures
    ADD CONSTRAINT profile_pictures_pkey PRIMARY KEY (instance_id, phone);

ALTER TABLE ONLY public.proxy_checks
    ADD CONSTRAINT proxy_checks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.schema_functions
    ADD CONSTRAINT schema_functions_pkey PRIMARY KEY (name);

ALTER TABLE ONLY public.schema_migrations
    ADD CONSTRAINT schema_migrations_pkey PRIMARY KEY (number);

ALTER TABLE ONLY public.sign_in_attempts
    ADD CONSTRAINT sign_in_attempts_pkey PRIMARY KEY (login_hash, address);

ALTER TABLE ONLY public.sign_in_links
    ADD CONSTRAINT sign_in_links_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.tags
    ADD CONSTRAINT tags_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY public.traffic_flushes
    ADD CONSTRAINT traffic_flushes_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.traffic
    ADD CONSTRAINT traffic_pkey PRIMARY KEY (account_id, instance_id, at);

ALTER TABLE ONLY public.user_sessions
    ADD CONSTRAINT user_sessions_pkey PRIMARY KEY (token_hash);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_dead_letters
    ADD CONSTRAINT webhook_dead_letters_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (instance_id, number);

ALTER TABLE ONLY public.webhook_events
    ADD CONSTRAINT webhook_events_pkey PRIMARY KEY (account_id, transaction_id, sequence);

ALTER TABLE ONLY public.webhook_lines
    ADD CONSTRAINT webhook_lines_pkey PRIMARY KEY (instance_id, chat);

ALTER TABLE ONLY public.webhook_outbox
    ADD CONSTRAINT webhook_outbox_pkey PRIMARY KEY (instance_id, chat, "position");

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.whatsapp_numbers
    ADD CONSTRAINT whatsapp_numbers_pkey PRIMARY KEY (instance_id, spelling);

ALTER TABLE ONLY sandbox.entities
    ADD CONSTRAINT entities_pkey PRIMARY KEY (instance_id, kind, id);

ALTER TABLE ONLY sandbox.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY sandbox.marks
    ADD CONSTRAINT marks_pkey PRIMARY KEY (instance_id, message_id);

ALTER TABLE ONLY sandbox.phones
    ADD CONSTRAINT phones_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY sandbox.sent
    ADD CONSTRAINT sent_pkey PRIMARY KEY (instance_id, message_id);

ALTER TABLE ONLY whatsmeow.devices
    ADD CONSTRAINT devices_pkey PRIMARY KEY (instance_id);

ALTER TABLE ONLY whatsmeow.events
    ADD CONSTRAINT events_pkey PRIMARY KEY (instance_id, id);

ALTER TABLE ONLY whatsmeow.polls
    ADD CONSTRAINT polls_pkey PRIMARY KEY (instance_id, provider_message_id);

ALTER TABLE ONLY whatsmeow.sends
    ADD CONSTRAINT sends_pkey PRIMARY KEY (instance_id, provider_message_id);

CREATE INDEX polls_by_age ON baileys.polls USING btree (at);

CREATE INDEX received_by_age ON baileys.received USING btree (at);

CREATE INDEX secrets_by_age ON baileys.keys USING btree (at) WHERE (kind = 'message-secret'::text);

CREATE INDEX sends_by_age ON baileys.sends USING btree (at);

CREATE INDEX unreadable_events ON baileys.events USING btree (at) WHERE (error IS NOT NULL);

CREATE INDEX api_keys_by_account ON public.api_keys USING btree (account_id);

CREATE INDEX audit_log_by_age ON public.audit_log USING btree (at);

CREATE INDEX audit_log_of_account ON public.audit_log USING btree (account_id, id DESC);

CREATE INDEX chat_tags_of_tag ON public.chat_tags USING btree (instance_id, tag_id);

CREATE INDEX chats_latest ON public.chats USING btree (instance_id, last_message_at DESC, phone) WHERE (NOT hidden);

CREATE INDEX connections_of_instance ON public.instance_connections USING btree (owner_instance_id, "position");

CREATE UNIQUE INDEX contacts_in_order ON public.contacts USING btree (instance_id, "position");

CREATE INDEX event_tickets_by_age ON public.event_tickets USING btree (expires_at);

CREATE INDEX first_contact_holds ON public.instance_lines USING btree (instance_id) WHERE (first_contacts_until IS NOT NULL);

CREATE INDEX further_delivery_queues_address ON public.further_delivery_queues USING btree (address) WHERE (address IS NOT NULL);

CREATE INDEX further_delivery_queues_claimed ON public.further_delivery_queues USING btree (claimed_by) WHERE (claimed_by IS NOT NULL);

CREATE INDEX further_delivery_queues_due ON public.further_delivery_queues USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX further_delivery_queues_empty ON public.further_delivery_queues USING btree (webhook_id, chat) WHERE (due_at IS NULL);

CREATE INDEX further_delivery_queues_of_instance ON public.further_delivery_queues USING btree (instance_id, chat);

CREATE INDEX further_outbox_of_instance ON public.further_outbox USING btree (instance_id, chat);

CREATE INDEX idempotency_keys_by_age ON public.idempotency_keys USING btree (created_at);

CREATE UNIQUE INDEX identities_by_phone ON public.identities USING btree (instance_id, phone) WHERE (phone IS NOT NULL);

CREATE INDEX inbox_by_age ON public.inbox USING btree (taken_at) WHERE (body IS NULL);

CREATE INDEX inbox_failed ON public.inbox USING btree (taken_at) WHERE (error IS NOT NULL);

CREATE INDEX inbox_unsettled ON public.inbox USING btree (instance_id, chat, "position") WHERE (body IS NOT NULL);

CREATE INDEX instance_leases_of_node ON public.instance_leases USING btree (node_id);

CREATE INDEX instances_named ON public.instances USING btree (account_id, name);

CREATE INDEX instances_of_account ON public.instances USING btree (account_id, created_at, id);

CREATE INDEX media_by_age ON public.media USING btree (expires_at);

CREATE INDEX media_by_id ON public.media USING btree (id);

CREATE INDEX media_deferred_in ON public.media_deferred USING btree (folder_id, deferred_at);

CREATE UNIQUE INDEX message_ids_of_provider ON public.message_ids USING btree (instance_id, provider_message_id) WHERE (provider_message_id IS NOT NULL);

CREATE INDEX message_queue_behind ON public.message_queue USING btree (instance_id, phone, priority, "position") WHERE (status = 'behind'::text);

CREATE INDEX message_queue_calendar ON public.message_queue USING btree (instance_id, due_at, id) WHERE (status = 'scheduled'::text);

CREATE INDEX message_queue_expiry ON public.message_queue USING btree (expires_at) WHERE ((expires_at IS NOT NULL) AND (status = ANY (ARRAY['behind'::text, 'parked'::text, 'pending'::text, 'scheduled'::text])));

CREATE INDEX message_queue_failed ON public.message_queue USING btree (instance_id, updated_at) WHERE (status = 'failed'::text);

CREATE INDEX message_queue_head ON public.message_queue USING btree (instance_id, priority, "position") WHERE (status = 'pending'::text);

CREATE INDEX message_queue_line ON public.message_queue USING btree (instance_id, sequence_number) WHERE (status <> 'failed'::text);

CREATE UNIQUE INDEX message_queue_message ON public.message_queue USING btree (instance_id, message_id);

CREATE UNIQUE INDEX message_queue_on_its_way ON public.message_queue USING btree (instance_id) WHERE (status = 'processing'::text);

CREATE INDEX message_queue_parked ON public.message_queue USING btree (instance_id, phone, id) WHERE (status = 'parked'::text);

CREATE INDEX message_queue_scheduled ON public.message_queue USING btree (due_at) WHERE (status = 'scheduled'::text);

CREATE INDEX message_queue_track_id ON public.message_queue USING btree (instance_id, ((payload ->> 'track_id'::text))) WHERE ((payload ->> 'track_id'::text) IS NOT NULL);

CREATE INDEX message_queue_withheld ON public.message_queue USING btree (instance_id, phone) WHERE ((withheld_for IS NOT NULL) AND (status = 'scheduled'::text));

CREATE INDEX message_receipts_by_age ON public.message_receipts USING btree (recorded_at);

CREATE INDEX messages_track_id ON ONLY public.messages USING btree (instance_id, ((payload ->> 'track_id'::text)), recorded_at) WHERE ((payload ->> 'track_id'::text) IS NOT NULL);

CREATE INDEX messages_of_chat ON ONLY public.messages USING btree (instance_id, phone, recorded_at);

CREATE INDEX messages_in_time ON ONLY public.messages USING btree (instance_id, recorded_at, message_id);

CREATE INDEX messages_default_instance_id_expr_recorded_at_idx ON public.messages_default USING btree (instance_id, ((payload ->> 'track_id'::text)), recorded_at) WHERE ((payload ->> 'track_id'::text) IS NOT NULL);

CREATE INDEX messages_default_instance_id_phone_recorded_at_idx ON public.messages_default USING btree (instance_id, phone, recorded_at);

CREATE INDEX messages_default_instance_id_recorded_at_message_id_idx ON public.messages_default USING btree (instance_id, recorded_at, message_id);

CREATE INDEX phone_links_to_log_out ON public.phone_links USING btree (instance_id) WHERE ((linking = 'wrong_phone'::text) AND (unlinked_at IS NULL));

CREATE INDEX profile_pictures_expired ON public.profile_pictures USING btree (expires_at);

CREATE INDEX proxy_checks_of_instance ON public.proxy_checks USING btree (instance_id, id);

CREATE INDEX receipt_missing_rules ON public.connection_settings USING btree (instance_id) WHERE (receipt_missing_minutes > 0);

CREATE INDEX sign_in_attempts_by_age ON public.sign_in_attempts USING btree (attempted_at);

CREATE INDEX sign_in_links_by_age ON public.sign_in_links USING btree (expires_at);

CREATE UNIQUE INDEX tags_key ON public.tags USING btree (instance_id, tag_key);

CREATE INDEX traffic_by_age ON public.traffic USING btree (at);

CREATE INDEX traffic_flushes_by_age ON public.traffic_flushes USING btree (at);

CREATE INDEX traffic_of_instance ON public.traffic USING btree (instance_id);

CREATE INDEX user_sessions_by_age ON public.user_sessions USING btree (expires_at);

CREATE INDEX user_sessions_by_user ON public.user_sessions USING btree (user_id);

CREATE INDEX users_by_account ON public.users USING btree (account_id);

CREATE UNIQUE INDEX users_by_email ON public.users USING btree (lower(email));

CREATE INDEX webhook_dead_letters_latest ON public.webhook_dead_letters USING btree (instance_id, died_at DESC, id);

CREATE INDEX webhook_dead_letters_open ON public.webhook_dead_letters USING btree (instance_id, died_at) WHERE (status = ANY (ARRAY['pending'::text, 'failed'::text]));

CREATE INDEX webhook_deliveries_age ON public.webhook_deliveries USING brin (posted_at);

CREATE INDEX webhook_deliveries_failed ON public.webhook_deliveries USING btree (instance_id, number) WHERE (NOT taken);

CREATE INDEX webhook_deliveries_of_callback ON public.webhook_deliveries USING btree (callback_id);

CREATE INDEX webhook_events_age ON public.webhook_events USING brin (created_at);

CREATE INDEX webhook_events_of_instance ON public.webhook_events USING btree (instance_id, created_at);

CREATE UNIQUE INDEX webhook_events_position ON public.webhook_events USING btree (account_id, "position") WHERE ("position" > 0);

CREATE INDEX webhook_events_unpositioned ON public.webhook_events USING btree (transaction_id, sequence) WHERE ("position" IS NULL);

CREATE INDEX webhook_lines_address ON public.webhook_lines USING btree (address) WHERE (address IS NOT NULL);

CREATE INDEX webhook_lines_claimed ON public.webhook_lines USING btree (claimed_by) WHERE (claimed_by IS NOT NULL);

CREATE INDEX webhook_lines_due ON public.webhook_lines USING btree (due_at) WHERE (due_at IS NOT NULL);

CREATE INDEX webhook_lines_empty ON public.webhook_lines USING btree (instance_id, chat) WHERE (due_at IS NULL);

CREATE INDEX webhooks_of_instance ON public.webhooks USING btree (instance_id);

CREATE INDEX entities_by_community ON sandbox.entities USING btree (((body ->> 'community'::text))) WHERE (body ? 'community'::text);

CREATE INDEX entities_by_id ON sandbox.entities USING btree (kind, id);

CREATE INDEX entities_by_invite ON sandbox.entities USING btree (((body ->> 'invite'::text))) WHERE (body ? 'invite'::text);

CREATE INDEX entities_by_member ON sandbox.entities USING gin (((body -> 'members'::text)));

CREATE INDEX events_due ON sandbox.events USING btree (due_at);

CREATE INDEX marks_by_age ON sandbox.marks USING btree (at);

CREATE INDEX phones_by_number ON sandbox.phones USING btree (phone);

CREATE INDEX phones_held ON sandbox.phones USING btree (holder);

CREATE INDEX sent_by_age ON sandbox.sent USING btree (at);

CREATE INDEX sent_in_order ON sandbox.sent USING btree (instance_id, number);

CREATE UNIQUE INDEX events_key ON whatsmeow.events USING btree (instance_id, event_key);

CREATE INDEX polls_by_age ON whatsmeow.polls USING btree (at);

CREATE INDEX sends_by_age ON whatsmeow.sends USING btree (at);

CREATE INDEX unreadable_events ON whatsmeow.events USING btree (at) WHERE (error IS NOT NULL);

ALTER INDEX public.messages_track_id ATTACH PARTITION public.messages_default_instance_id_expr_recorded_at_idx;

ALTER INDEX public.messages_of_chat ATTACH PARTITION public.messages_default_instance_id_phone_recorded_at_idx;

ALTER INDEX public.messages_in_time ATTACH PARTITION public.messages_default_instance_id_recorded_at_message_id_idx;

ALTER INDEX public.messages_pkey ATTACH PARTITION public.messages_default_pkey;

CREATE TRIGGER account_changed AFTER DELETE OR UPDATE ON public.accounts FOR EACH ROW EXECUTE FUNCTION public.notify_account_changed_v1();

CREATE TRIGGER api_key_changed AFTER INSERT OR DELETE OR UPDATE ON public.api_keys FOR EACH ROW EXECUTE FUNCTION public.notify_api_key_changed_v1();

CREATE TRIGGER connection_changed AFTER INSERT OR UPDATE ON public.instance_connections FOR EACH ROW WHEN ((new.instance_id IS NOT NULL)) EXECUTE FUNCTION public.notify_connection_changed_v1();

CREATE TRIGGER connection_completed BEFORE INSERT ON public.instance_connections FOR EACH ROW WHEN ((new.owner_instance_id IS NULL)) EXECUTE FUNCTION public.complete_connection_v1();

CREATE TRIGGER down_since_noted BEFORE INSERT OR UPDATE OF state ON public.instance_connections FOR EACH ROW EXECUTE FUNCTION public.note_down_since_v1();

CREATE TRIGGER foreign_retry_skipped BEFORE UPDATE ON public.webhook_dead_letters FOR EACH ROW WHEN (((new.webhook_id <> '00000000-0000-0000-0000-000000000000'::uuid) AND (new.status = 'processing'::text) AND (old.status <> 'processing'::text) AND (NOT (new.retried_at IS DISTINCT FROM old.retried_at)))) EXECUTE FUNCTION public.skip_foreign_retry_v1();

CREATE TRIGGER instance_changed AFTER INSERT OR DELETE OR UPDATE ON public.instances FOR EACH ROW EXECUTE FUNCTION public.notify_instance_changed_v1();

CREATE TRIGGER instance_has_a_connection AFTER INSERT ON public.instances FOR EACH ROW EXECUTE FUNCTION public.create_instance_connection_v1();

CREATE TRIGGER instance_has_a_line AFTER INSERT ON public.instances FOR EACH ROW EXECUTE FUNCTION public.create_instance_queue_v1();

CREATE TRIGGER linking_decided AFTER INSERT OR UPDATE OF state ON public.instance_connections FOR EACH ROW WHEN ((new.state = ANY (ARRAY['connected'::text, 'unpaired'::text, 'logged_out'::text, 'banned'::text]))) EXECUTE FUNCTION public.decide_linking_v1();

CREATE TRIGGER media_leaves_a_note AFTER DELETE ON public.media REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION public.note_deleted_media_v1();

CREATE TRIGGER messages_note_chats AFTER INSERT ON public.messages REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION public.update_chats_v2();

CREATE TRIGGER messages_unparked BEFORE UPDATE OF epoch ON public.instance_leases FOR EACH ROW WHEN ((new.epoch <> old.epoch)) EXECUTE FUNCTION public.unpark_messages_v1();

CREATE TRIGGER pause_changed BEFORE UPDATE OF paused ON public.instance_lines FOR EACH ROW WHEN ((new.paused IS DISTINCT FROM old.paused)) EXECUTE FUNCTION public.note_pause_change_v1();

CREATE TRIGGER user_changed AFTER DELETE OR UPDATE OF account_id, role, password_hash, disabled_at ON public.users FOR EACH ROW EXECUTE FUNCTION public.notify_user_changed_v1();

CREATE TRIGGER user_session_ended AFTER DELETE ON public.user_sessions FOR EACH ROW EXECUTE FUNCTION public.notify_user_session_ended_v1();

ALTER TABLE ONLY public.api_key_uses
    ADD CONSTRAINT api_key_uses_key_id_fkey FOREIGN KEY (key_id) REFERENCES public.api_keys(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.broadcast_lists
    ADD CONSTRAINT broadcast_lists_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.callback_settings
    ADD CONSTRAINT callback_settings_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.chat_tags
    ADD CONSTRAINT chat_tags_instance_id_tag_id_fkey FOREIGN KEY (instance_id, tag_id) REFERENCES public.tags(instance_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.connection_settings
    ADD CONSTRAINT connection_settings_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.event_log_expiry
    ADD CONSTRAINT event_log_expiry_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.event_roads
    ADD CONSTRAINT event_roads_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.event_tickets
    ADD CONSTRAINT event_tickets_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.feature_settings
    ADD CONSTRAINT feature_settings_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.initial_data_webhooks
    ADD CONSTRAINT initial_data_webhooks_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.instance_base_urls
    ADD CONSTRAINT instance_base_urls_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.instance_connections
    ADD CONSTRAINT instance_connections_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.instance_connections
    ADD CONSTRAINT instance_connections_owner_instance_id_fkey FOREIGN KEY (owner_instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.instance_leases
    ADD CONSTRAINT instance_leases_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.instance_lines
    ADD CONSTRAINT instance_lines_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.instances
    ADD CONSTRAINT instances_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id);

ALTER TABLE ONLY public.media_deferred
    ADD CONSTRAINT media_deferred_folder_id_fkey FOREIGN KEY (folder_id) REFERENCES public.media_folders(id);

ALTER TABLE ONLY public.payload_seals
    ADD CONSTRAINT payload_seals_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.person_searches
    ADD CONSTRAINT person_searches_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.phone_links
    ADD CONSTRAINT phone_links_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.proxy_checks
    ADD CONSTRAINT proxy_checks_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sign_in_links
    ADD CONSTRAINT sign_in_links_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.traffic
    ADD CONSTRAINT traffic_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.user_sessions
    ADD CONSTRAINT user_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_account_id_fkey FOREIGN KEY (account_id) REFERENCES public.accounts(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhooks
    ADD CONSTRAINT webhooks_instance_id_fkey FOREIGN KEY (instance_id) REFERENCES public.instances(id) ON DELETE CASCADE;

