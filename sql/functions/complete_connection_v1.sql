-- Completes the row that a node of the release before inserts with a state: the node knows neither the
-- owner nor the provider. Its statement updates the row of the active connection, which exists, but
-- Postgres checks the new row first.
-- Aliases: i instance.
create or replace function complete_connection_v1() returns trigger language plpgsql as $$
begin
    new.owner_instance_id := new.instance_id;
    new.provider := (select i.provider from instances i where i.id = new.instance_id);
    return new;
end
$$;

create or replace trigger connection_completed before insert on instance_connections
    for each row when (new.owner_instance_id is null) execute function complete_connection_v1();
