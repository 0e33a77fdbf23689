-- What the baileys provider stores: keys, events, ids of messages. (compatible with: 0001)

create schema baileys;

-- The epoch of the lease under which an instance's keys may be written; an older one is refused.
create table baileys.fences (
    instance_id text primary key,
    epoch       bigint not null
);

-- Which linked device an instance is.
create table baileys.devices (
    instance_id text primary key,
    device      text not null,
    linked_at   timestamptz not null default now()
);

-- The keys of the device, each as JSON, sealed. The row of kind `creds` is the device itself.
create table baileys.keys (
    instance_id text not null,
    kind        text not null,
    id          text not null,
    value       text not null,
    at          timestamptz not null default now(),
    primary key (instance_id, kind, id)
);
create index secrets_by_age on baileys.keys (at) where kind = 'message-secret';

-- What happened and has yet to be reported: reported again until acknowledged.
create table baileys.events (
    instance_id text not null,
    id          bigint generated always as identity,
    at          timestamptz not null default clock_timestamp(),
    event_key   uuid not null,
    name        text not null,
    body        jsonb not null,
    primary key (instance_id, id),
    unique (instance_id, event_key)
);

-- Received messages that are stored: WhatsApp sends one again if its receipt was lost.
create table baileys.received (
    instance_id text not null,
    mark        text not null,
    at          timestamptz not null default now(),
    primary key (instance_id, mark)
);
create index received_by_age on baileys.received (at);

-- Messages whose id at WhatsApp is not the gateway's.
create table baileys.sends (
    instance_id         text not null,
    provider_message_id text not null,
    message_id          text not null,
    at                  timestamptz not null default now(),
    primary key (instance_id, provider_message_id)
);

-- A vote names its options by their hashes; this has their names.
create table baileys.polls (
    instance_id         text not null,
    provider_message_id text not null,
    options             text[] not null,
    at                  timestamptz not null default now(),
    primary key (instance_id, provider_message_id)
);
create index polls_by_age on baileys.polls (at);
create index sends_by_age on baileys.sends (at);
