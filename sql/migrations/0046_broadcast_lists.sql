-- Lists of people to whom one message goes. (compatible with: 0001)

create table broadcast_lists (
    instance_id text        not null references instances on delete cascade,
    id          text        not null,
    name        text        not null,
    phones      text[]      not null,
    created_at  timestamptz not null default now(),
    primary key (instance_id, id)
);
comment on table broadcast_lists is
    'The gateway''s own lists: WhatsApp''s are on the phone, and no linked device can use them.';
comment on column broadcast_lists.id is 'The chat that callers send to, without its ending -broadcast.';
