-- Files, and the two names WhatsApp has for one person. (compatible with: 0001)

create table media (
    instance_id text not null,
    id          text not null,
    sha256      bytea not null,
    mime_type   text not null,
    file_name   text,
    size_bytes  bigint not null,
    created_at  timestamptz not null default now(),
    expires_at  timestamptz not null,
    primary key (instance_id, id)
);
create index media_by_content on media (instance_id, sha256);
create index media_by_age on media (expires_at);

create table identities (
    instance_id text not null,
    lid         text not null,
    phone       text,
    name        text,
    updated_at  timestamptz not null default now(),
    primary key (instance_id, lid)
);
create unique index identities_by_phone on identities (instance_id, phone) where phone is not null;
