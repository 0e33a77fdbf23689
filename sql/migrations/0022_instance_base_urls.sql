-- The address at which callers reach the gateway, learnt per instance. (compatible with: 0001)

create table instance_base_urls (
    instance_id text primary key references instances on delete cascade,
    base_url    text not null,
    reach       smallint not null,
    noted_at    timestamptz not null default now()
);
comment on table instance_base_urls is
    'Learnt from authenticated requests while GATEWAY_PUBLIC_URL is unset; for links to media.';
comment on column instance_base_urls.reach is
    '0: this machine, 1: a private network, 2: the Internet.';
comment on column instance_base_urls.noted_at is
    'Refreshed at most once a day while the same address is in use.';
