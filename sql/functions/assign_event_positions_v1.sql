-- Gives committed events the next positions, at most max_count of them, and returns the state of
-- the log after it.
--
-- One transaction at a time does this: it owns the row of event_log until its commit. So the
-- positions of one batch are visible before those of the next are chosen, and a reader that saw a
-- position sees every lower one. Nothing waits for an open transaction: its events get
-- positions after its commit. `busy` says that another transaction owns the row now.
--
-- Events of transactions older than oldest_transaction_id have positions, so the search begins
-- there; otherwise it would pass index entries of the past that Postgres cannot remove during a
-- backup. That number counts on one server only. Another server, or a restored table, begins a new
-- generation: a reader may hold positions that this history does not have.
--
-- Without sequential scans every plan looks expensive to Postgres before 18, which would then compile it
-- for 100 ms at each call; so there is no JIT.
--
-- Aliases: e recorded event, g earlier generation, l state of the log, n numbered event,
-- w event without a position.
create or replace function assign_event_positions_v1(max_count int)
returns table (generation bigint, last_position bigint, assigned int, busy boolean)
language plpgsql set enable_seqscan = off set jit = off as $$
#variable_conflict use_column
declare
    log event_log;
    this_server text := event_log_server_v1();
    oldest bigint;
    found_count int;
begin
    select l.* into strict log from event_log l;
    if log.server is not distinct from coalesce(this_server, log.server) and not exists (
        select from webhook_events e
        where e.position is null
            and e.transaction_id >= case when this_server is null then 0 else log.oldest_transaction_id end
    ) then
        return query select log.generation, log.last_position, 0, false;
        return;
    end if;
    select l.* into log from event_log l for update skip locked;
    if not found then
        return query select l.generation, l.last_position, 0, true from event_log l;
        return;
    end if;
    if log.server is distinct from coalesce(this_server, log.server) then
        if log.server is not null then
            insert into event_log_generations as g (generation, last_position)
            values (log.generation, log.last_position);
            log.generation := 100000000000000000
                + ('x' || left(replace(gen_random_uuid()::text, '-', ''), 15))::bit(60)::bigint
                    % 899999999999999999;
            log.after_position := log.last_position;
        end if;
        log.server := this_server;
        log.oldest_transaction_id := 0;
    end if;
    if this_server is null then
        log.oldest_transaction_id := 0;
    end if;
    with waiting as materialized (
        -- The oldest events without a position, and the oldest transaction that may write others.
        select e.account_id, e.transaction_id, e.sequence
        from webhook_events e
        where e.position is null and e.transaction_id >= log.oldest_transaction_id
        order by e.transaction_id, e.sequence
        limit max_count
    ), numbered as (
        -- The order of inserts: a transaction that inserts after another's commit comes later.
        select w.*, log.last_position + row_number() over (order by w.sequence) as position
        from waiting w
    ), positioned as (
        -- Stores the positions.
        update webhook_events e
        set position = n.position
        from numbered n
        where e.account_id = n.account_id and e.transaction_id = n.transaction_id
            and e.sequence = n.sequence
    )
    select count(*),
           least(
               pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
               case when count(*) = max_count then max(transaction_id) end
           )
    into found_count, oldest
    from waiting;
    if this_server is not null then
        log.oldest_transaction_id := oldest;
    end if;
    update event_log l
    set generation = log.generation, after_position = log.after_position, server = log.server,
        last_position = log.last_position + found_count,
        oldest_transaction_id = log.oldest_transaction_id;
    return query select log.generation, log.last_position + found_count, found_count, false;
end
$$;
