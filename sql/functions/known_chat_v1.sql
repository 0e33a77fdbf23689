-- Returns the number by which WhatsApp knows a person, whom a message may name by any spelling of the
-- number or by the lid; null if that is not known, and for a chat that is not a person's.
-- In plpgsql, which keeps the plans: it is called several times for every message.
-- Aliases: i identity, n number.
create or replace function known_chat_v1(of_instance text, named text) returns text
language plpgsql stable parallel safe as $$
declare
    known text := (
        select n.phone from whatsapp_numbers n
        where n.instance_id = of_instance and n.spelling = named
    );
begin
    if known is null and named like '%@lid' then
        known := (select i.phone from identities i where i.instance_id = of_instance and i.lid = named);
    end if;
    return known;
end
$$;
