-- Returns the one name of a chat in its queue. All names of a person have the same: the spellings of the
-- number, also while WhatsApp's own is not known, and the lid once it is known. It is the spelling
-- without the digit that only some have, as gateway/identities/numbers.py knows them. A group, a channel
-- and an unknown lid keep their name.
create or replace function queue_chat_v1(of_instance text, named text) returns text
language plpgsql stable parallel safe as $$
declare
    number text := coalesce(known_chat_v1(of_instance, named), named);
begin
    return case
        when number like '55%' then regexp_replace(number, '^(55[1-9][0-9])9([6-9][0-9]{7})$', '\1\2')
        when number like '549%' then regexp_replace(number, '^549([1-3][0-9]{9})$', '54\1')
        when number like '521%' then regexp_replace(number, '^521([2-9][0-9]{9})$', '52\1')
        else number
    end;
end
$$;
