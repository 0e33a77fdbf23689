-- Notifies every node that the rights of a user changed, so that it checks the streams of the account.
create or replace function notify_user_changed_v1() returns trigger language plpgsql as $$
begin
    perform pg_notify('account_changed', coalesce(old.account_id, ''));
    return null;
end
$$;

create or replace trigger user_changed
    after update of account_id, role, password_hash, disabled_at or delete on users
    for each row execute function notify_user_changed_v1();
