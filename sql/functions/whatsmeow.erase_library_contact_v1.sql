-- Deletes what the library's own tables hold of a person for one linked device: names, settings of the
-- chat, secrets of messages, messages to be repeated. Encryption keys stay: without them no message
-- from the person could be read. `users` are the parts of the person's addresses before the at sign.
-- Returns how many rows it deleted: 0 before the library has created its tables.
create or replace function whatsmeow.erase_library_contact_v1(device text, users text[]) returns bigint
language plpgsql as $$
declare
    place text[];
    deleted bigint;
    total bigint := 0;
begin
    foreach place slice 1 in array array[
        ['whatsmeow_contacts', 'their_jid'],
        ['whatsmeow_chat_settings', 'chat_jid'],
        ['whatsmeow_message_secrets', 'chat_jid'],
        ['whatsmeow_message_secrets', 'sender_jid'],
        ['whatsmeow_retry_buffer', 'chat_jid']
    ] loop
        continue when to_regclass('whatsmeow.' || place[1]) is null;
        execute format(
            'delete from whatsmeow.%1$I where our_jid = $1'
            ' and split_part(split_part(%2$I, ''@'', 1), '':'', 1) = any($2)',
            place[1], place[2]
        ) using device, users;
        get diagnostics deleted = row_count;
        total := total + deleted;
    end loop;
    return total;
end
$$;
