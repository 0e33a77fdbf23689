-- Which process runs which session. (compatible with: 0001)

-- One small write renews everything a node holds: expiry lives here, not on the leases.
create table nodes (
    id               text primary key,
    internal_address text,
    started_at       timestamptz not null default now(),
    expires_at       timestamptz not null
);

create table instance_leases (
    instance_id text primary key references instances on delete cascade,
    node_id     text not null,
    epoch       bigint not null,
    taken_at    timestamptz not null default now()
) with (fillfactor = 50);
create index instance_leases_of_node on instance_leases (node_id);

create table instance_connections (
    instance_id text primary key references instances on delete cascade,
    state       text not null,
    phone       text,
    reason      text,
    changed_at  timestamptz not null
);

-- Work that one process at a time does for all: pruning, partitions, rescue of the lost.
create table chores (
    name       text primary key,
    node_id    text not null,
    expires_at timestamptz not null
);
