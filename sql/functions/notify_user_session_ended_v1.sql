-- Notifies every node that a session ended, so that it checks the streams of the account.
create or replace function notify_user_session_ended_v1() returns trigger language plpgsql as $$
begin
    -- Where the user was deleted, its own trigger notifies.
    perform pg_notify('account_changed', coalesce(account_id, '')) from users where id = old.user_id;
    return null;
end
$$;

create or replace trigger user_session_ended after delete on user_sessions
    for each row execute function notify_user_session_ended_v1();
