-- Returns what identifies the history that this table belongs to: the cluster, its timeline (a
-- promoted standby begins another one), the database and the table. Returns null where the server
-- does not tell.
create or replace function event_log_server_v1() returns text language plpgsql as $$
begin
    return (select system_identifier from pg_control_system())
        || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
        || '/' || (select oid from pg_database where datname = current_database())
        || '/' || 'event_log'::regclass::oid;
exception
    when insufficient_privilege or feature_not_supported or undefined_function
        or object_not_in_prerequisite_state then
        return null;
end
$$;
