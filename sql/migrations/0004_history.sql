-- What was sent, canceled and received. (compatible with: 0001)

-- Months are made ahead and dropped by age; the default partition catches what no month covers.
create table messages (
    instance_id         text not null,
    message_id          text not null,
    recorded_at         timestamptz not null default now(),
    created_at          timestamptz not null,
    attempt_started_at  timestamptz,
    sent_at             timestamptz,
    delivered_at        timestamptz,
    read_at             timestamptz,
    played_at           timestamptz,
    sequence_number     bigint,
    version             smallint not null,
    attempts            smallint not null default 0,
    from_me             boolean not null,
    status              text not null,
    zaap_id             text,
    provider_message_id text,
    phone               text not null,
    sender              text,
    type                text not null,
    payload             jsonb not null,
    provider_data       bytea,
    primary key (instance_id, message_id, recorded_at),
    constraint known_status check (status in ('canceled', 'failed', 'received', 'sent'))
) partition by range (recorded_at);
create table messages_default partition of messages default;
create index messages_of_chat on messages (instance_id, phone, recorded_at);

-- Finds the month of a message, and its id at the provider's where that is another one.
create table message_ids (
    instance_id         text not null,
    message_id          text not null,
    recorded_at         timestamptz not null,
    provider_message_id text,
    primary key (instance_id, message_id)
);
create unique index message_ids_of_provider on message_ids (instance_id, provider_message_id)
    where provider_message_id is not null;
