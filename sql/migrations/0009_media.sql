-- Files are stored once by their content; what nobody keeps any more leaves a note. (compatible with: 0001)

alter table media drop column sha256;  -- the id says it
comment on column media.id is 'SHA-256 of the content, in hex';
create index media_by_id on media (id);

-- Content that may have lost its last row: whoever deletes rows need not know the storage.
create table media_leftovers (
    id       text primary key,
    noted_at timestamptz not null default now()
);

create function note_media_leftovers() returns trigger language plpgsql as $$
begin
    insert into media_leftovers (id) select distinct id from gone on conflict do nothing;
    return null;
end
$$;
create trigger media_leaves_a_note after delete on media
    referencing old table as gone
    for each statement execute function note_media_leftovers();
