-- What other chats hold of an erased person is searched for afterwards. (compatible with: 0001)

create table person_searches (
    instance_id text        not null references instances on delete cascade,
    names       text[]      not null,
    asked_at    timestamptz not null default now(),
    until_at    timestamptz not null default now(),
    worked_at   timestamptz not null default now(),
    pass_number integer     not null default 1,
    position    jsonb,
    changed     bigint      not null default 0,
    canceled    bigint      not null default 0,
    sending     boolean     not null default false,
    primary key (instance_id, names)
);
comment on table person_searches is
    'Erased people whose numbers are still being removed from other chats; a finished search has no row.';
comment on column person_searches.names is 'The numbers and lids of the person, sorted.';
comment on column person_searches.until_at is 'A pass looks at rows that were stored until then.';
comment on column person_searches.position is 'Where the pass goes on; null: at the beginning.';
comment on column person_searches.changed is 'Rows that the current pass had to change.';
comment on column person_searches.canceled is 'Messages to other chats that were canceled.';
comment on column person_searches.sending is
    'A message to the person was being sent; the person is erased again when it was sent.';
