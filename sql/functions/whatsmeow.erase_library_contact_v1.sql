-- Deletes what the library's own tables hold of a person for one linked device: names, settings of the
-- chat, encryption keys, secrets of messages, messages to be repeated that name the person. The library
-- agrees on new keys when the person writes or is written to again: the first message is then asked for
-- once more. The pair of number and lid, which all devices share, goes when no other device has a
-- contact of the person. `users` are the parts of the person's addresses before the at sign.
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
        ['whatsmeow_retry_buffer', 'chat_jid'],
        ['whatsmeow_privacy_tokens', 'their_jid'],
        ['whatsmeow_sessions', 'their_id'],
        ['whatsmeow_identity_keys', 'their_id'],
        ['whatsmeow_sender_keys', 'chat_id'],
        ['whatsmeow_sender_keys', 'sender_id']
    ] loop
        continue when to_regclass('whatsmeow.' || place[1]) is null;
        execute format(
            'delete from whatsmeow.%1$I where our_jid = $1'
            ' and substring(%2$I from ''^[0-9]+'') = any($2)',
            place[1], place[2]
        ) using device, users;
        get diagnostics deleted = row_count;
        total := total + deleted;
    end loop;
    foreach place slice 1 in array array[
        ['whatsmeow_retry_buffer', 'plaintext'],
        ['whatsmeow_event_buffer', 'plaintext']
    ] loop
        continue when to_regclass('whatsmeow.' || place[1]) is null;
        execute format(
            'delete from whatsmeow.%1$I b where b.our_jid = $1 and exists ('
            'select from unnest($2) u where position(convert_to(u, ''UTF8'') in b.%2$I) > 0)',
            place[1], place[2]
        ) using device, users;
        get diagnostics deleted = row_count;
        total := total + deleted;
    end loop;
    if to_regclass('whatsmeow.whatsmeow_lid_map') is not null then
        execute
            'delete from whatsmeow.whatsmeow_lid_map p where (p.lid = any($2) or p.pn = any($2))'
            ' and not exists (select from whatsmeow.whatsmeow_contacts c where c.our_jid <> $1'
            ' and substring(c.their_jid from ''^[0-9]+'') in (p.lid, p.pn))'
            ' and not exists (select from whatsmeow.whatsmeow_sessions s where s.our_jid <> $1'
            ' and substring(s.their_id from ''^[0-9]+'') in (p.lid, p.pn))'
            ' and not exists (select from whatsmeow.whatsmeow_device d'
            ' where split_part(split_part(d.jid, ''@'', 1), '':'', 1) in (p.lid, p.pn))'
            using device, users;
        get diagnostics deleted = row_count;
        total := total + deleted;
    end if;
    return total;
end
$$;
