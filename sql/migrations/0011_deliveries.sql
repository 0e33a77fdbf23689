-- Attempts, dead letters that come back, secrets that rotate, other roads. (compatible with: 0001)

alter table accounts
    add column previous_webhook_secret_ciphertext bytea,
    add column previous_webhook_secret_key_id     text;
comment on column accounts.previous_webhook_secret_ciphertext is
    'Signs beside the current one until it is retired, so that receivers change over in peace.';

alter table webhook_lines
    add column failing_since    timestamptz,
    add column first_attempt_at timestamptz,
    add column address          text;
comment on column webhook_lines.failing_since is 'Nothing of the chat was taken since.';
comment on column webhook_lines.first_attempt_at is 'Of the callback at the head.';
comment on column webhook_lines.address is
    'The account and address that keep the chat waiting; all of them go on when it answers.';
create index webhook_lines_address on webhook_lines (address) where address is not null;

alter table webhook_dead_letters
    add column status           text not null default 'pending',
    add column retries          smallint not null default 0,
    add column first_attempt_at timestamptz,
    add constraint known_status check (status in ('pending', 'processing', 'success', 'failed', 'discarded'));

-- What became of each attempt; kept for days.
create table webhook_deliveries (
    instance_id text not null,
    number      bigint generated always as identity,
    callback_id uuid not null,
    type        text not null,
    chat        text not null,
    target      text not null,
    attempt     smallint not null,
    taken       boolean not null,
    status      smallint,
    error       text,
    answer      text,
    duration_ms integer not null,
    posted_at   timestamptz not null default now(),
    primary key (instance_id, number)
);
create index webhook_deliveries_age on webhook_deliveries using brin (posted_at);

-- Everything that was told, kept for days: replayed to webhooks, and read by the other roads in
-- the order of transactions. Whoever reads up to the oldest transaction still under way
-- misses nothing.
create table webhook_events (
    account_id     text not null,
    transaction_id bigint not null default pg_current_xact_id()::text::bigint,
    sequence       bigint generated always as identity,
    instance_id    text not null,
    chat           text not null,
    id             uuid not null,
    type           text not null,
    body           text not null,
    created_at     timestamptz not null default now(),
    primary key (account_id, transaction_id, sequence)
);
create index webhook_events_of_instance on webhook_events (instance_id, created_at);
create index webhook_events_age on webhook_events using brin (created_at);

-- Other roads that want everything of an account, whether or not it has webhooks; one with a
-- cursor is read up to there.
create table event_roads (
    name           text not null,
    account_id     text not null references accounts on delete cascade,
    wanted_until   timestamptz not null,
    transaction_id bigint not null default 0,
    sequence       bigint not null default 0,
    node_id        text,
    held_until     timestamptz,
    primary key (account_id, name)
);

-- How far each partition of a topic was taken into the queue.
create table kafka_offsets (
    topic       text not null,
    partition   integer not null,
    next_offset bigint not null,
    primary key (topic, partition)
);

-- Appends callbacks to their chats, in the caller's transaction; what has no address is left out.
-- Returns how many were appended.
create function append_callbacks(
    instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]
) returns bigint language sql as $$
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

-- Tells what happened, on every road, in the caller's transaction; what nobody wants is left out.
-- Returns how many callbacks will be posted.
create or replace function tell(
    instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]
) returns bigint language sql as $$
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
