-- Webhooks of history and of proxies; filters of webhooks. (compatible with: 0001)

-- Not columns of `instances`: nodes of the previous version read all of its columns.
create table callback_settings (
    instance_id           text   primary key references instances on delete cascade,
    history_sync_url      text,
    proxy_url             text,
    message_filters       text[] not null default '{}',
    callback_type_filters text[] not null default '{}'
);
comment on table callback_settings is 'No row: nothing is set.';
comment on column callback_settings.proxy_url is 'The webhook of ProxyFailureCallback, not a proxy.';
comment on column callback_settings.message_filters is
    'Messages that Z-API''s webhooks do not get, by Z-API''s names such as FILTER_FROM_GROUP.';
comment on column callback_settings.callback_type_filters is
    'Types of callbacks that Z-API''s webhooks do not get, such as FILTER_DELIVERY_CALLBACK.';
