-- A node keeps files that the bucket does not take; instances are found by name. (compatible with: 0001)

create index instances_named on instances (account_id, name);

create table media_folders (
    id               uuid primary key,
    node_id          text not null,
    internal_address text not null,
    seen_at          timestamptz not null default now()
);
comment on table media_folders is
    'Folders in which nodes keep files until the bucket takes them, and who serves them.';
comment on column media_folders.id is
    'Stored in the folder itself, so that it stays the same when the node gets another name.';
comment on column media_folders.internal_address is
    'The internal listener of the node that looked into the folder last.';

create table media_deferred (
    id         text        not null,
    folder_id  uuid        not null references media_folders,
    size_bytes bigint      not null,
    deferred_at    timestamptz not null default now(),
    primary key (id, folder_id)
);
create index media_deferred_in on media_deferred (folder_id, deferred_at);
comment on table media_deferred is
    'Content that is in the folder of a node and not yet in the bucket; its file is deleted there only after its row.';
comment on column media_deferred.id is 'SHA-256 of the content, in hex';
