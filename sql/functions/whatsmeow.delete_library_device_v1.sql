-- Deletes a linked device from the tables that the library creates itself. Returns how many devices
-- were there: 0 before the library has created its tables. Their rows go with the device by foreign key,
-- but for those of the one table that has none.
create or replace function whatsmeow.delete_library_device_v1(device text) returns bigint
language plpgsql as $$
declare
    deleted bigint := 0;
begin
    if to_regclass('whatsmeow.whatsmeow_privacy_tokens') is not null then
        execute 'delete from whatsmeow.whatsmeow_privacy_tokens where our_jid = $1' using device;
    end if;
    if to_regclass('whatsmeow.whatsmeow_device') is not null then
        execute 'delete from whatsmeow.whatsmeow_device where jid = $1' using device;
        get diagnostics deleted = row_count;
    end if;
    return deleted;
end
$$;
