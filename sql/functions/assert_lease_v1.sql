-- Raises an error unless the lease of the instance has this epoch. Locks the lease until the end of the
-- transaction: another node takes it either before, and this transaction changes nothing, or after, and
-- finds what this transaction wrote. Aliases: l lease.
create or replace function assert_lease_v1(instance_id text, epoch bigint) returns void
language plpgsql as $$
begin
    perform from instance_leases l
    where l.instance_id = assert_lease_v1.instance_id and l.epoch = assert_lease_v1.epoch
    for share;
    if not found then
        raise exception 'the lease of instance % has another epoch than %',
            assert_lease_v1.instance_id, assert_lease_v1.epoch
            using errcode = 'object_not_in_prerequisite_state';
    end if;
end
$$;
