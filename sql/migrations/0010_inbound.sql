-- Events of sessions before their callbacks; who got a message in a group. (compatible with: 0001)

-- What a session told, under the name it has there: told again, it is the same row. The body goes
-- once the event is settled, that is in history and in the outbox; what waits for its files, or
-- behind such an event of its chat, is settled later.
create table inbox (
    instance_id text not null,
    event_id    text not null,
    position    bigint generated always as identity,
    chat        text not null,
    own_phone   text,
    body        jsonb,
    error       text,
    taken_at    timestamptz not null default now(),
    primary key (instance_id, event_id)
) with (fillfactor = 70);
create index inbox_unsettled on inbox (instance_id, chat, position) where body is not null;
create index inbox_by_age on inbox (taken_at) where body is null;

-- Each participant of a group on his own; `recorded_at` is that of the message.
create table message_receipts (
    instance_id  text not null,
    message_id   text not null,
    participant  text not null,
    recorded_at  timestamptz not null,
    delivered_at timestamptz,
    read_at      timestamptz,
    played_at    timestamptz,
    primary key (instance_id, message_id, participant)
);
create index message_receipts_by_age on message_receipts (recorded_at);
