-- Notes since when a session is not connected, whichever release stores its state. A node that starts
-- goes through states that do not connect: the phone is down since the first of them.
create or replace function note_down_since_v1() returns trigger language plpgsql as $$
begin
    if new.state = 'connected' then
        new.down_since := null;
    elsif tg_op = 'UPDATE' and old.state <> 'connected' then
        new.down_since := coalesce(old.down_since, old.changed_at);
    else
        new.down_since := new.changed_at;
    end if;
    return new;
end
$$;

create or replace trigger down_since_noted before insert or update of state on instance_connections
    for each row execute function note_down_since_v1();
