-- Notifies every node that an account changed, so that the node drops its cached copy.
create or replace function notify_account_changed_v1() returns trigger language plpgsql as $$
begin
    perform pg_notify('account_changed', coalesce(new.id, old.id));
    return null;
end
$$;

create or replace trigger account_changed after update or delete on accounts
    for each row execute function notify_account_changed_v1();
