-- Positions of events that do not depend on transaction ids. (compatible with: 0001)

-- 0: written before this migration; null: committed, and waiting for a position. A new row has no
-- default, so nodes of the release before write null too. This lock waits for every transaction that
-- wrote events, so no row of an open transaction is taken for an old one.
alter table webhook_events add column position bigint default 0;
alter table webhook_events alter column position drop default;
comment on column webhook_events.position is
    'Order in which the event became visible; null until assigned, 0 before positions existed.';

create unique index webhook_events_position on webhook_events (account_id, position) where position > 0;
create index webhook_events_unpositioned on webhook_events (transaction_id, sequence)
    where position is null;

-- The one counter of positions.
create table event_log (
    id                     smallint primary key default 1 check (id = 1),
    generation             bigint not null,
    after_position         bigint not null,
    last_position          bigint not null,
    server                 text,
    oldest_transaction_id  bigint not null default 0,
    first_transaction_id   bigint not null
);
comment on column event_log.generation is
    'Random, at least 10^17; a new one begins on another server, or after a restore.';
comment on column event_log.after_position is 'The last position before this generation.';
comment on column event_log.server is 'The server and the table that the last batch was written to.';
comment on column event_log.oldest_transaction_id is
    'On this server, every event of an older transaction has a position.';
comment on column event_log.first_transaction_id is
    'Greater than every transaction id of an event without a position (0).';

-- Earlier generations, each with its last position.
create table event_log_generations (
    generation    bigint primary key,
    last_position bigint not null,
    ended_at      timestamptz not null default now()
);

-- The highest position of each account whose event was deleted because of its age.
create table event_log_expiry (
    account_id text primary key references accounts on delete cascade,
    position   bigint not null
);

insert into event_log (generation, after_position, last_position, first_transaction_id)
select 100000000000000000
           + ('x' || left(replace(gen_random_uuid()::text, '-', ''), 15))::bit(60)::bigint
               % 899999999999999999,
       0, 0,
       greatest(
           pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
           (select max(newest.transaction_id) + 1
            from accounts a
            cross join lateral (
                select e.transaction_id
                from webhook_events e
                where e.account_id = a.id
                order by e.transaction_id desc
                limit 1
            ) newest)
       );
