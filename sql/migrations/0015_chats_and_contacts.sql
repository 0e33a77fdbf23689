-- What passes through as chats and contacts; labels, notes, consent, audit. (compatible with: 0001)

-- `unread` counts what came in since the chat was read; `hidden` was deleted, until somebody
-- writes again. `cleared_at` is where the history one is shown begins.
create table chats (
    instance_id     text not null,
    phone           text not null,
    unread          integer not null default 0,
    last_message_at timestamptz not null default 'epoch',
    archived        boolean not null default false,
    pinned          boolean not null default false,
    muted           boolean not null default false,
    hidden          boolean not null default false,
    cleared_at      timestamptz,
    note            text,
    note_id         text,
    note_created_at timestamptz,
    note_updated_at timestamptz,
    primary key (instance_id, phone)
) with (fillfactor = 80);
create index chats_latest on chats (instance_id, last_message_at desc, phone) where not hidden;

-- The order of a list as its first page found it, so that what arrives meanwhile moves nothing.
create unlogged table chat_listings (
    instance_id text not null,
    page_size   integer not null,
    phones      text[] not null,
    made_at     timestamptz not null default now(),
    primary key (instance_id, page_size)
);

alter table chat_listings alter column phones set storage external;

-- In the order in which they became known: pages stay put while others join.
create table contacts (
    instance_id text not null,
    phone       text not null,
    position    bigint generated always as identity,
    name        text,
    short       text,
    vname       text,
    notify      text,
    updated_at  timestamptz not null default now(),
    primary key (instance_id, phone)
);
create unique index contacts_in_order on contacts (instance_id, position);

create table tags (
    instance_id text not null,
    id          bigint generated always as identity,
    name        text not null,
    color       smallint not null,
    primary key (instance_id, id)
);

create table chat_tags (
    instance_id text not null,
    phone       text not null,
    tag_id      bigint not null,
    primary key (instance_id, phone, tag_id),
    foreign key (instance_id, tag_id) references tags (instance_id, id) on delete cascade
);
create index chat_tags_of_tag on chat_tags (instance_id, tag_id);

create table consents (
    instance_id text not null,
    phone       text not null,
    status      text not null check (status in ('granted', 'revoked')),
    source      text,
    note        text,
    at          timestamptz not null default now(),
    primary key (instance_id, phone)
);
alter table accounts add column refuse_opted_out boolean not null default false;

create table audit_log (
    id          bigint generated always as identity primary key,
    at          timestamptz not null default now(),
    account_id  text,
    instance_id text,
    act         text not null,
    address     text
);
create index audit_log_by_age on audit_log (at);
create index audit_log_of_account on audit_log (account_id, id desc);

-- Every message that enters history moves its chat, in the same transaction.
create function note_chats() returns trigger language plpgsql as $$
begin
    insert into chats as c (instance_id, phone, unread, last_message_at)
    select f.instance_id, f.phone,
           count(*) filter (where not f.from_me and f.type <> 'notification'),
           max(coalesce(f.sent_at, f.created_at))
    from fresh f
    where f.status in ('sent', 'received') and f.phone <> 'status@broadcast'
    group by f.instance_id, f.phone
    order by f.instance_id, f.phone
    on conflict (instance_id, phone) do update
    set unread = c.unread + excluded.unread,
        last_message_at = greatest(c.last_message_at, excluded.last_message_at),
        hidden = false;
    return null;
end
$$;
create trigger messages_note_chats after insert on messages
    referencing new table as fresh for each statement execute function note_chats();
