-- Updates the chat of every message that enters history, in the same transaction. A transaction that
-- imports history sets gateway.counts_unread to 'off': those messages do not count as unread.
-- Aliases: c chat, f new message.
create or replace function update_chats_v1() returns trigger language plpgsql as $$
declare
    counts boolean := current_setting('gateway.counts_unread', true) is distinct from 'off';
begin
    insert into chats as c (instance_id, phone, unread, last_message_at)
    select f.instance_id, f.phone,
           count(*) filter (where counts and not f.from_me and f.type <> 'notification'),
           max(coalesce(f.sent_at, f.created_at))
    from fresh f
    where f.status in ('sent', 'received') and f.phone <> 'status@broadcast'
    group by f.instance_id, f.phone
    order by f.instance_id, f.phone
    on conflict (instance_id, phone) do update
    set unread = c.unread + excluded.unread,
        last_message_at = greatest(c.last_message_at, excluded.last_message_at),
        hidden = false;
    return null;
end
$$;

create or replace trigger messages_note_chats after insert on messages
    referencing new table as fresh for each statement execute function update_chats_v1();
