-- Notifies every node that an instance changed, so that the node drops its cached copy.
create or replace function notify_instance_changed_v1() returns trigger language plpgsql as $$
begin
    perform pg_notify('instance_changed', coalesce(new.id, old.id));
    return null;
end
$$;

create or replace trigger instance_changed after insert or update or delete on instances
    for each row execute function notify_instance_changed_v1();
