-- Settings by which new behaviour is switched on for some accounts or instances. (compatible with: 0001)

-- Not columns of `accounts` and `instances`: nodes of the previous version read all of theirs.
create table feature_settings (
    account_id text not null references accounts (id) on delete cascade,
    instance_id text not null default '',
    settings jsonb not null,
    primary key (account_id, instance_id)
);
comment on table feature_settings is
    'What an account or one of its instances sets; the row without an instance is for all of them.';
comment on column feature_settings.settings is 'The keys of gateway/instances/feature_settings.py.';
