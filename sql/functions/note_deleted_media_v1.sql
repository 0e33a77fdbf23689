-- Notes the ids of deleted media rows: a later task checks whether another row still needs the
-- content, and removes it from storage if none does.
create or replace function note_deleted_media_v1() returns trigger language plpgsql as $$
begin
    insert into media_leftovers (id) select distinct id from gone on conflict do nothing;
    return null;
end
$$;

create or replace trigger media_leaves_a_note after delete on media
    referencing old table as gone
    for each statement execute function note_deleted_media_v1();
