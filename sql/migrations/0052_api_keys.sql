-- API keys of accounts, with the rights that each has. (compatible with: 0001)

create table api_keys (
    id           text primary key,
    account_id   text not null references accounts (id) on delete cascade,
    name         text not null,
    token_hash   bytea not null unique,
    scopes       text[] not null check (cardinality(scopes) > 0),
    instance_ids text[] not null default '{}',
    networks     cidr[] not null default '{}',
    expires_at   timestamptz,
    created_by   text not null,
    created_at   timestamptz not null default now()
);
create index api_keys_by_account on api_keys (account_id);
comment on table api_keys is 'A revoked key has no row; the audit log says who revoked it.';
comment on column api_keys.token_hash is 'SHA-256 of the key, which is shown once.';
comment on column api_keys.scopes is 'Of gateway/contract/scopes.py; a node ignores one that it does not know.';
comment on column api_keys.instance_ids is 'The instances that it may use; empty: those of the account.';
comment on column api_keys.networks is 'Where it may be used, within the addresses of the account; empty: everywhere.';

-- Apart from the keys: a use changes no row of a key, so that it notifies no node.
create table api_key_uses (
    key_id  text primary key references api_keys (id) on delete cascade,
    used_at timestamptz not null,
    address text
);
comment on table api_key_uses is 'The latest use of each key, written at most once a minute by each node.';
