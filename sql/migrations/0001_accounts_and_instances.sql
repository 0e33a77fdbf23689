-- Accounts and their instances. (compatible with: 0001)

create table accounts (
    id                    text primary key,
    name                  text not null,
    client_token_hash     bytea unique,
    client_token_required boolean not null default false,
    partner_token_hash    bytea unique,
    allowed_addresses     cidr[] not null default '{}',
    webhook_secret_ciphertext bytea,
    webhook_secret_key_id     text,
    created_at            timestamptz not null default now(),
    constraint required_token_exists check (not client_token_required or client_token_hash is not null)
);

create table instances (
    id                                text primary key,
    account_id                        text not null references accounts,
    name                              text not null,
    token_hash                        bytea not null,
    token_ciphertext                  bytea not null,
    token_key_id                      text not null,
    provider                          text not null,
    provider_settings                 jsonb not null default '{}',
    session_name                      text,
    is_device                         boolean not null default false,
    business_device                   boolean not null default false,
    demo                              boolean not null default false,
    wanted                            boolean not null default true,
    pace_min_seconds                  double precision,
    pace_max_seconds                  double precision,
    received_callback_url             text,
    delivery_callback_url             text,
    message_status_callback_url       text,
    connected_callback_url            text,
    disconnected_callback_url         text,
    presence_chat_callback_url        text,
    notify_sent_by_me                 boolean not null default false,
    call_reject_auto                  boolean not null default false,
    call_reject_message               text,
    auto_read_message                 boolean not null default false,
    auto_read_status                  boolean not null default false,
    disable_enqueue_when_disconnected boolean not null default false,
    trial_ends_at                     timestamptz,
    subscribed                        boolean not null default false,
    with_calls                        boolean not null default false,
    canceled_at                       timestamptz,
    created_at                        timestamptz not null default now(),
    constraint pace_is_a_range check (
        (pace_min_seconds is null) = (pace_max_seconds is null)
        and (pace_min_seconds is null or 0 <= pace_min_seconds and pace_min_seconds <= pace_max_seconds)
    )
);
create index instances_of_account on instances (account_id, created_at, id);
comment on column instances.trial_ends_at is
    'Who is not subscribed sends until then; a cancelled subscription sets it anew.';

-- Instances that are gone and whose rows are being cleared away; no new one takes such an id.
create table instance_removals (
    instance_id text primary key,
    asked_at    timestamptz not null default now()
);

-- Every process keeps what it knows of instances in memory; this tells it what to forget.
create function announce_instance_change() returns trigger language plpgsql as $$
begin
    perform pg_notify('instance_changed', coalesce(new.id, old.id));
    return null;
end
$$;
create trigger instance_changed after insert or update or delete on instances
    for each row execute function announce_instance_change();

create function announce_account_change() returns trigger language plpgsql as $$
begin
    perform pg_notify('account_changed', coalesce(new.id, old.id));
    return null;
end
$$;
create trigger account_changed after update or delete on accounts
    for each row execute function announce_account_change();
