-- The line of each instance. (compatible with: 0001)

-- The one narrow row that is locked for everything that must be in order.
create table instance_lines (
    instance_id   text primary key references instances on delete cascade,
    next_sequence bigint not null default 1,
    reordered     bigint not null default 0,
    connected     boolean not null default false,
    paused        boolean not null default false,
    idle          boolean not null default false,
    hold_until    timestamptz,
    hold_reason   text
) with (fillfactor = 50);
comment on column instance_lines.reordered is
    'Counts the times a waiting row appeared before rows already claimed; a claimer that remembers an older value starts from the front again.';

create function make_instance_line() returns trigger language plpgsql as $$
begin
    insert into instance_lines (instance_id) values (new.id);
    return null;
end
$$;
create trigger instance_has_a_line after insert on instances
    for each row execute function make_instance_line();

-- Only what is alive. No foreign key to instances: each insert would lock and rewrite its row.
create table message_queue (
    instance_id        text not null,
    id                 bigint generated always as identity,
    sequence_number    bigint not null,
    position           bigint not null,
    due_at             timestamptz not null default now(),
    attempt_started_at timestamptz,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now(),
    claimed_epoch      bigint,
    version            smallint not null,
    priority           smallint not null,
    attempts           smallint not null default 0,
    max_attempts       smallint not null,
    status             text not null,
    zaap_id            text not null,
    message_id         text not null,
    type               text not null,
    phone              text not null,
    payload            jsonb not null,
    last_error         text,
    primary key (instance_id, id),
    constraint known_status check (status in ('failed', 'pending', 'processing', 'scheduled')),
    constraint known_priority check (priority between 0 and 2),
    constraint processing_is_claimed check ((status = 'processing') = (claimed_epoch is not null)),
    constraint only_processing_starts check (attempt_started_at is null or status = 'processing'),
    constraint failures_are_explained check (status <> 'failed' or last_error is not null)
) with (fillfactor = 80);

-- A zaap_id is found through this too: the message_id is derived from it.
create unique index message_queue_message on message_queue (instance_id, message_id);
create index message_queue_head on message_queue (instance_id, priority, position) where status = 'pending';
-- At most one message of a line is on its way.
create unique index message_queue_on_its_way on message_queue (instance_id) where status = 'processing';
create index message_queue_line on message_queue (instance_id, sequence_number) where status <> 'failed';
create index message_queue_scheduled on message_queue (due_at) where status = 'scheduled';
create index message_queue_failed on message_queue (instance_id, updated_at) where status = 'failed';

-- What callers see: a claimed row whose attempt has not started still waits.
create function shown_status(q message_queue) returns text language sql immutable as $$
    select case
        when q.attempt_started_at is not null then 'processing'
        when q.status in ('failed', 'scheduled') then q.status
        when q.attempts > 0 then 'retrying'
        else 'pending'
    end
$$;

-- Attempts that did not end well; the one that did is told by the message itself.
create table message_attempts (
    instance_id      text not null,
    message_id       text not null,
    started_at       timestamptz not null,
    ended_at         timestamptz not null,
    outcome          text not null,
    error            text,
    duration_seconds double precision generated always as
        (extract(epoch from ended_at - started_at)::double precision) stored,
    primary key (instance_id, message_id, started_at)
);

create table idempotency_keys (
    instance_id text not null,
    key         text not null,
    body_hash   bytea not null,
    zaap_id     text not null,
    message_id  text not null,
    created_at  timestamptz not null default now(),
    primary key (instance_id, key)
);
create index idempotency_keys_by_age on idempotency_keys (created_at);
