-- Says that the state of the active connection or its health changed, so that open pages show the new
-- one.
create or replace function notify_connection_changed_v1() returns trigger language plpgsql as $$
begin
    if tg_op = 'INSERT'
        or row(old.state, old.phone, old.reason, old.health, old.health_reason)
            is distinct from row(new.state, new.phone, new.reason, new.health, new.health_reason)
    then
        perform pg_notify('connection_changed', new.instance_id);
    end if;
    return null;
end
$$;

create or replace trigger connection_changed after insert or update on instance_connections
    for each row when (new.instance_id is not null) execute function notify_connection_changed_v1();
