-- The world of the sandbox provider. (compatible with: 0001)

create schema sandbox;

-- One phone per instance. `holder` is the engine its session is open in; `version` counts what
-- changed in state or phone, so that a change is told exactly once.
create table sandbox.phones (
    instance_id  text primary key,
    phone        text not null,
    state        text not null check (state in ('connected', 'disconnected', 'unpaired', 'logged_out')),
    version      bigint not null default 0,
    epoch        bigint not null default 0,
    holder       text,
    secret       text not null,
    faults       jsonb not null default '[]',
    typing_to    text,
    typing_until timestamptz
);
create index phones_held on sandbox.phones (holder);

-- What arrived at WhatsApp, in order of arrival; survives the gateway.
create table sandbox.sent (
    instance_id text not null,
    number      bigint generated always as identity,
    message_id  text not null,
    seen        integer not null default 1,
    type        text not null,
    phone       text not null,
    payload     jsonb not null,
    at          timestamptz not null default clock_timestamp(),
    primary key (instance_id, message_id)
);
create index sent_in_order on sandbox.sent (instance_id, number);

-- What the phone has yet to tell: told again until acknowledged.
create table sandbox.events (
    instance_id text not null,
    id          bigint generated always as identity,
    due_at      timestamptz not null,
    body        jsonb not null,
    primary key (instance_id, id)
);
create index events_due on sandbox.events (due_at);
