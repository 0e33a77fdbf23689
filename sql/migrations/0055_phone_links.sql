-- Links with which a person without an account links the phone of an instance. (compatible with: 0001)

create table phone_links (
    instance_id    text primary key references instances (id) on delete cascade,
    token_hash     bytea not null unique,
    phones         text[] not null default '{}',
    max_codes      int not null,
    codes_served   int not null default 0,
    last_code_hash bytea,
    last_code_at   timestamptz,
    created_at     timestamptz not null default now(),
    expires_at     timestamptz not null,
    revoked_at     timestamptz,
    used_at        timestamptz,
    linking        text check (linking in ('accepted', 'held', 'confirmed', 'wrong_phone')),
    unlinked_at    timestamptz,
    check ((used_at is null) = (linking is null))
);
create index phone_links_to_log_out on phone_links (instance_id)
    where linking = 'wrong_phone' and unlinked_at is null;
comment on table phone_links is 'The latest link of each instance; a new one replaces it.';
comment on column phone_links.token_hash is 'SHA-256 of the token, which is shown once.';
comment on column phone_links.phones is 'The spellings of the only number that may link; empty: any.';
comment on column phone_links.last_code_hash is 'Of the latest code: the same code counts once.';
comment on column phone_links.used_at is 'When a phone was linked, by whatever way: the link is over then.';
comment on column phone_links.linking is
    'What decide_linking_v1 decided: a held linking waits for the owner; a wrong phone is logged out.';
comment on column phone_links.unlinked_at is 'When that phone was logged out again.';

alter table instance_lines
    drop constraint known_hold_kind,
    add constraint known_hold_kind check (hold_kind in ('daily_limit', 'linking', 'restricted'));
