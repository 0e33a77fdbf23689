-- Says whether a message to this chat begins a conversation: the chat is a person's, and no message
-- was sent to it or received from it under any of its names.
-- Aliases: c chat.
create or replace function is_first_contact_v1(of_instance text, named text) returns boolean
language sql stable parallel safe as $$
    select (named ~ '^[0-9]+$' or named like '%@lid') and not exists (
        select from chats c
        where c.instance_id = of_instance and c.phone = any(queue_names_v1(of_instance, named))
            and c.last_message_at > 'epoch'
    )
$$;
