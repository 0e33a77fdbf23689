-- A new epoch of a lease makes the parked messages of the queue wait in line again. The new owner
-- parks them again where it must. A node of the previous release, which knows no parked messages,
-- finds the line as it expects it.
--
-- The trigger fires before the change, so that rows are locked before their queue, as in the other
-- statements. The lease is locked by then: a statement of the old owner that parks a message either
-- has ended, and its row is seen here, or it finds the new epoch and changes nothing.
create or replace function unpark_messages_v1() returns trigger language plpgsql as $$
begin
    update message_queue
    set status = 'pending', parked_for = null,
        due_at = case when parked_for = 'file' then now() else due_at end
    where instance_id = new.instance_id and status = 'parked';
    update message_queue set status = 'pending'
    where instance_id = new.instance_id and status = 'behind';
    return new;
end
$$;

create or replace trigger messages_unparked before update of epoch on instance_leases
    for each row when (new.epoch <> old.epoch) execute function unpark_messages_v1();
