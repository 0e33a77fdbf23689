-- Says whether a message to this chat waits while WhatsApp lets the number write to known chats only:
-- because it begins a conversation, or because an earlier message of its chat waits for that.
-- Aliases: q queued message.
create or replace function is_withheld_v1(of_instance text, named text, until timestamptz) returns boolean
language sql stable parallel safe as $$
    select until > now() and is_first_contact_v1(of_instance, named) or exists (
        select from message_queue q
        where q.instance_id = of_instance and q.phone = any(queue_names_v1(of_instance, named))
            and q.withheld_for is not null and q.status = 'scheduled'
    )
$$;
