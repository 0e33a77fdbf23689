-- What the whatsmeow provider keeps beside the library's own tables. (compatible with: 0001)

create schema whatsmeow;

-- Which linked device an instance is; its keys are in the library's tables, or in a file.
create table whatsmeow.devices (
    instance_id text primary key,
    device      text not null,
    kept_in     text not null check (kept_in in ('postgres', 'file')),
    linked_at   timestamptz not null default now()
);

-- What happened and has yet to be told: told again until acknowledged.
create table whatsmeow.events (
    instance_id text not null,
    id          bigint generated always as identity,
    at          timestamptz not null default clock_timestamp(),
    name        text not null,
    body        jsonb not null,
    primary key (instance_id, id)
);

-- The library chooses an id for every message; written before the message leaves.
create table whatsmeow.sends (
    instance_id         text not null,
    provider_message_id text not null,
    message_id          text not null,
    at                  timestamptz not null default now(),
    primary key (instance_id, provider_message_id)
);
-- A vote names its options by their hashes: what they were is kept here.
create table whatsmeow.polls (
    instance_id         text not null,
    provider_message_id text not null,
    options             text[] not null,
    at                  timestamptz not null default now(),
    primary key (instance_id, provider_message_id)
);
create index polls_by_age on whatsmeow.polls (at);
create index sends_by_age on whatsmeow.sends (at);
