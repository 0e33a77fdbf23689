-- Notifies every node that a key changed, so that it drops the account's keys and checks its streams.
create or replace function notify_api_key_changed_v1() returns trigger language plpgsql as $$
begin
    perform pg_notify('account_changed', coalesce(new.account_id, old.account_id));
    return null;
end
$$;

create or replace trigger api_key_changed after insert or update or delete on api_keys
    for each row execute function notify_api_key_changed_v1();
