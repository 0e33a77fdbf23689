-- Callbacks that wait to be posted. (compatible with: 0001)

create table webhook_outbox (
    instance_id text not null,
    position    bigint not null,
    id          uuid not null,
    chat        text not null,
    type        text not null,
    body        text not null,
    attempts    smallint not null default 0,
    due_at      timestamptz not null default now(),
    created_at  timestamptz not null default now(),
    last_error  text,
    primary key (instance_id, position)
);
create index webhook_outbox_of_chat on webhook_outbox (instance_id, chat, position);
create index webhook_outbox_due on webhook_outbox (due_at);
