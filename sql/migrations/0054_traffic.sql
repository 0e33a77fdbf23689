-- What instances accepted, sent, received and delivered, in sums of five minutes. (compatible with: 0001)

-- No foreign key to instances: the rows of a deleted instance are deleted in batches.
create table traffic (
    account_id          text        not null references accounts on delete cascade,
    instance_id         text        not null,
    at                  timestamptz not null,
    accepted            int         not null,
    sent                int         not null,
    received            int         not null,
    callbacks_delivered int         not null,
    callbacks_failed    int         not null,
    failures            jsonb       not null,
    latency_ms          bigint      not null,
    latency_counts      int[]       not null,
    primary key (account_id, instance_id, at)
);
create index traffic_of_instance on traffic (instance_id);
create index traffic_by_age on traffic (at);
comment on table traffic is 'Sums that the nodes write once per period; an instance without activity has no row.';
comment on column traffic.instance_id is 'Empty: the sums of all instances of the account, which are read without theirs.';
comment on column traffic.at is 'The beginning of the period.';
comment on column traffic.failures is 'How many messages failed for good, by class of error.';
comment on column traffic.latency_ms is 'Milliseconds from acceptance, or the scheduled time, to WhatsApp''s receipt; the sum over `sent`.';
comment on column traffic.latency_counts is 'How many of `sent` took at most each bound of gateway/observability/traffic.py, and how many took longer.';

create table traffic_flushes (
    id uuid primary key,
    at timestamptz not null default now()
);
create index traffic_flushes_by_age on traffic_flushes (at);
comment on table traffic_flushes is 'The ids of recent flushes: a flush that is repeated, or arrives late, writes nothing.';
