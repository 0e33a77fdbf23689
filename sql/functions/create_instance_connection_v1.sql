-- Gives a new instance its one connection, also if a node of the release before makes the instance.
create or replace function create_instance_connection_v1() returns trigger language plpgsql as $$
begin
    insert into instance_connections (instance_id, owner_instance_id, provider)
    values (new.id, new.id, new.provider)
    on conflict (instance_id) do nothing;
    return null;
end
$$;

create or replace trigger instance_has_a_connection after insert on instances
    for each row execute function create_instance_connection_v1();
