-- Updates the chat of every message that enters history, in the same transaction. A chat has one entry,
-- whichever name of the person a message goes to. A transaction that imports history sets
-- gateway.counts_unread to 'off': those messages do not count as unread.
-- Aliases: c chat, f new message, n message with the name of its chat.
create or replace function update_chats_v2() returns trigger language plpgsql as $$
declare
    counts boolean := current_setting('gateway.counts_unread', true) is distinct from 'off';
begin
    insert into chats as c (instance_id, phone, unread, last_message_at)
    select n.instance_id, n.chat, count(*) filter (where n.is_unread), max(n.at)
    from (
        select f.instance_id, coalesce(known_chat_v1(f.instance_id, f.phone), f.phone) as chat,
               counts and not f.from_me and f.type <> 'notification' as is_unread,
               coalesce(f.sent_at, f.created_at) as at
        from fresh f
        where f.status in ('sent', 'received') and f.phone <> 'status@broadcast'
    ) n
    group by n.instance_id, n.chat
    order by n.instance_id, n.chat
    on conflict (instance_id, phone) do update
    set unread = c.unread + excluded.unread,
        last_message_at = greatest(c.last_message_at, excluded.last_message_at),
        hidden = false;
    return null;
end
$$;

create or replace trigger messages_note_chats after insert on messages
    referencing new table as fresh for each statement execute function update_chats_v2();
