-- Gives a new instance the row that is locked for everything that must happen in order.
create or replace function create_instance_queue_v1() returns trigger language plpgsql as $$
begin
    insert into instance_lines (instance_id) values (new.id);
    return null;
end
$$;

create or replace trigger instance_has_a_line after insert on instances
    for each row execute function create_instance_queue_v1();
