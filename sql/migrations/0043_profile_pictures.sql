-- Links to profile pictures, the webhook of initial data, and what is known of sent files. (compatible with: 0001)

create table profile_pictures (
    instance_id text        not null,
    phone       text        not null,
    url         text,
    refresh_at  timestamptz not null,
    expires_at  timestamptz not null,
    primary key (instance_id, phone)
);
create index profile_pictures_expired on profile_pictures (expires_at);
comment on table profile_pictures is 'What WhatsApp answered when it was asked for the picture of a person or group.';
comment on column profile_pictures.phone is 'The name of the chat: a phone number, a lid, or a group.';
comment on column profile_pictures.url is 'A link of WhatsApp; null: there is no picture, or it is hidden.';
comment on column profile_pictures.refresh_at is 'From then on a message has the picture looked up again.';
comment on column profile_pictures.expires_at is 'When the link ends; the row is deleted.';

-- A table of its own, because nodes of the previous release read every column of instances.
create table initial_data_webhooks (
    instance_id text primary key references instances on delete cascade,
    url         text not null
);
comment on table initial_data_webhooks is 'The address that /me shows as initialDataCallbackUrl.';

alter table messages add column sent_files text;
comment on column messages.sent_files is
    'The types, names and measures of the files that were sent, as JSON by the text that names each.';
