-- The way of an instance's session to WhatsApp, and how it fared. (compatible with: 0018)

alter table instances
    add column proxy_ciphertext bytea,
    add column proxy_key_id text,
    add constraint proxy_is_sealed check ((proxy_ciphertext is null) = (proxy_key_id is null));
comment on column instances.proxy_ciphertext is 'The whole configuration: its URL may hold a password.';

-- Of the proxy that is set now, the newest few.
create table proxy_checks (
    id          bigint generated always as identity primary key,
    instance_id text not null references instances on delete cascade,
    latency_ms  integer,
    error       text,
    checked_at  timestamptz not null default now(),
    constraint latency_or_error check ((latency_ms is null) = (error is not null))
);
create index proxy_checks_of_instance on proxy_checks (instance_id, id);
