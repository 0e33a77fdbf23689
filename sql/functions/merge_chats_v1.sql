-- Moves what is stored of a chat under one name to another name of the same person: the entry in the
-- list of chats, its tags, and the contact.
-- Aliases: c chat or contact, m moved row, p pair of names, t tag of a chat.
create or replace function merge_chats_v1(instance_ids text[], from_names text[], to_names text[])
returns void language plpgsql as $$
declare
    pair record;
begin
    for pair in
        select p.instance_id, p.old, p.new
        from unnest(instance_ids, from_names, to_names) as p (instance_id, old, new)
        where p.old <> p.new
        order by p.instance_id, p.new, p.old
    loop
        with moved as (
            -- Takes the chat of the old name out of the list.
            delete from chats c where c.instance_id = pair.instance_id and c.phone = pair.old
            returning c.*
        )
        insert into chats as c (
            instance_id, phone, name, unread, last_message_at, archived, pinned, muted, hidden,
            cleared_at, note, note_id, note_created_at, note_updated_at
        )
        select m.instance_id, pair.new, m.name, m.unread, m.last_message_at, m.archived, m.pinned,
               m.muted, m.hidden, m.cleared_at, m.note, m.note_id, m.note_created_at, m.note_updated_at
        from moved m
        on conflict (instance_id, phone) do update
        set name = coalesce(c.name, excluded.name), unread = c.unread + excluded.unread,
            last_message_at = greatest(c.last_message_at, excluded.last_message_at),
            archived = c.archived or excluded.archived, pinned = c.pinned or excluded.pinned,
            muted = c.muted or excluded.muted, hidden = c.hidden and excluded.hidden,
            cleared_at = greatest(c.cleared_at, excluded.cleared_at),
            note = coalesce(c.note, excluded.note), note_id = coalesce(c.note_id, excluded.note_id),
            note_created_at = coalesce(c.note_created_at, excluded.note_created_at),
            note_updated_at = coalesce(c.note_updated_at, excluded.note_updated_at);
        with moved as (
            -- Takes the tags from the old name.
            delete from chat_tags t where t.instance_id = pair.instance_id and t.phone = pair.old
            returning t.*
        )
        insert into chat_tags (instance_id, phone, tag_id)
        select m.instance_id, pair.new, m.tag_id from moved m
        on conflict do nothing;
        with moved as (
            -- Takes the contact from the old name.
            delete from contacts c where c.instance_id = pair.instance_id and c.phone = pair.old
            returning c.*
        )
        insert into contacts as c (instance_id, phone, name, short, vname, notify)
        select m.instance_id, pair.new, m.name, m.short, m.vname, m.notify from moved m
        on conflict (instance_id, phone) do update
        set name = coalesce(c.name, excluded.name), short = coalesce(c.short, excluded.short),
            vname = coalesce(c.vname, excluded.vname), notify = coalesce(c.notify, excluded.notify),
            updated_at = now();
    end loop;
end
$$;
