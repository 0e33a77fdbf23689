-- Aliases: c counted row, e one class of errors, i instance, l latency of one bound, r row of a flush,
-- t stored sums.

-- name: record
-- Adds the sums of one node. Several nodes may have sums of the same instance and period.
with flush as (
    -- Stores the id of the flush; there is no row if it was stored before.
    insert into traffic_flushes (id) values (%(flush_id)s::uuid)
    on conflict (id) do nothing
    returning id
), counted as materialized (
    -- Leaves out instances that were deleted, and locks the others: a deletion comes before or after.
    select r.*
    from jsonb_to_recordset(%(sums)s::jsonb) as r (
        instance_id text, at timestamptz, accepted int, sent int, received int, callbacks_delivered int,
        callbacks_failed int, failures jsonb, latency_ms bigint, latency_counts int[]
    )
    join instances i on i.id = r.instance_id
    order by r.instance_id, r.at
    for key share of i
)
insert into traffic as t (
    instance_id, at, accepted, sent, received, callbacks_delivered, callbacks_failed, failures, latency_ms,
    latency_counts
)
select c.instance_id, c.at, c.accepted, c.sent, c.received, c.callbacks_delivered, c.callbacks_failed,
       c.failures, c.latency_ms, c.latency_counts
from counted c
cross join flush
order by c.instance_id, c.at
on conflict (instance_id, at) do update
set accepted = t.accepted + excluded.accepted,
    sent = t.sent + excluded.sent,
    received = t.received + excluded.received,
    callbacks_delivered = t.callbacks_delivered + excluded.callbacks_delivered,
    callbacks_failed = t.callbacks_failed + excluded.callbacks_failed,
    failures = (
        select coalesce(jsonb_object_agg(e.name, e.count), '{}')
        from (
            select e.key as name, sum(e.value::int) as count
            from (
                select * from jsonb_each_text(t.failures)
                union all
                select * from jsonb_each_text(excluded.failures)
            ) e
            group by e.key
        ) e
    ),
    latency_ms = t.latency_ms + excluded.latency_ms,
    latency_counts = array(
        select l.stored + l.added
        from unnest(t.latency_counts, excluded.latency_counts) with ordinality as l (stored, added, bound)
        order by l.bound
    );

-- name: read_series
-- The sums of an account, or of one of its instances, by steps that begin at multiples of step_seconds.
select to_timestamp(extract(epoch from t.at)::bigint / %(step_seconds)s::int * %(step_seconds)s::int) as at,
       sum(t.accepted)::bigint as accepted,
       sum(t.sent)::bigint as sent,
       sum(t.received)::bigint as received,
       sum(t.callbacks_delivered)::bigint as callbacks_delivered,
       sum(t.callbacks_failed)::bigint as callbacks_failed,
       sum(t.latency_ms)::bigint as latency_ms,
       array[
           sum(t.latency_counts[1]), sum(t.latency_counts[2]), sum(t.latency_counts[3]),
           sum(t.latency_counts[4]), sum(t.latency_counts[5]), sum(t.latency_counts[6]),
           sum(t.latency_counts[7]), sum(t.latency_counts[8]), sum(t.latency_counts[9]),
           sum(t.latency_counts[10]), sum(t.latency_counts[11]), sum(t.latency_counts[12]),
           sum(t.latency_counts[13])
       ]::bigint[] as latency_counts
from instances i
join traffic t on t.instance_id = i.id
where i.account_id = %(account_id)s::text
    and (%(instance_id)s::text is null or i.id = %(instance_id)s::text)
    and t.at >= %(from)s::timestamptz and t.at < %(to)s::timestamptz
group by 1;

-- name: read_failures
-- The failed messages of the same steps, by class of error.
select to_timestamp(extract(epoch from t.at)::bigint / %(step_seconds)s::int * %(step_seconds)s::int) as at,
       e.key as error_class,
       sum(e.value::int)::bigint as count
from instances i
join traffic t on t.instance_id = i.id and t.failures <> '{}'
cross join lateral jsonb_each_text(t.failures) e
where i.account_id = %(account_id)s::text
    and (%(instance_id)s::text is null or i.id = %(instance_id)s::text)
    and t.at >= %(from)s::timestamptz and t.at < %(to)s::timestamptz
group by 1, 2;

-- name: delete_expired
delete from traffic
where ctid = any(array(
    select ctid from traffic
    where at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
));

-- name: delete_expired_flushes
-- A statement that was sent once does not arrive a week later.
delete from traffic_flushes where at < now() - interval '7 days';
