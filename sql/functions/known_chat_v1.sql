-- Returns the number by which WhatsApp knows a person, whom a message may name by any spelling of the
-- number or by the lid; null if that is not known, and for a chat that is not a person's.
-- Aliases: i identity, n number.
create or replace function known_chat_v1(of_instance text, named text) returns text
language sql stable parallel safe as $$
    select coalesce(
        (
            select n.phone from whatsapp_numbers n
            where n.instance_id = of_instance and n.spelling = named
        ),
        (
            select i.phone from identities i
            where named like '%@lid' and i.instance_id = of_instance and i.lid = named
        )
    )
$$;
