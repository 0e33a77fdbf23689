-- Returns what identifies the history that this table belongs to: the cluster, its timeline (a
-- promoted standby begins another one), the database and the table. Returns null where the server
-- does not allow it.
create or replace function event_log_server_v1() returns text language plpgsql as $$
begin
    return (select system_identifier from pg_control_system())
        || '/' || left(pg_walfile_name(pg_current_wal_lsn()), 8)
        || '/' || (select oid from pg_database where datname = current_database())
        || '/' || 'event_log'::regclass::oid;
exception
    when others then  -- a managed service may lack or forbid any of these, each with its own error
        return null;
end
$$;
