-- Aliases: a account, c counted row, e one class of errors, f failures of an account, g what grew,
-- i instance, l latency of one bound or what is scheduled, n what is in a queue, q queued message, r row of
-- a flush, s sums to add, t stored sums, w what waits.

-- name: record
-- Adds the sums of one node to the rows of its instances and of their accounts. Several nodes may have
-- sums of the same instance and period.
with flush as (
    -- Stores the id of the flush; there is no row if it was stored before.
    insert into traffic_flushes (id) values (%(flush_id)s::uuid)
    on conflict (id) do nothing
    returning id
), counted as materialized (
    -- Leaves out instances that were deleted, and locks the others: a deletion comes before or after.
    select i.account_id, r.*
    from jsonb_to_recordset(%(sums)s::jsonb) as r (
        instance_id text, at timestamptz, accepted int, sent int, received int, callbacks_delivered int,
        callbacks_failed int, failures jsonb, latency_ms bigint, latency_counts int[], callbacks_timed int,
        callback_lag_ms bigint, callback_lag_max_ms bigint
    )
    join instances i on i.id = r.instance_id
    order by r.instance_id, r.at
    for key share of i
), failed_of_account as (
    -- The failures of each account, by class of error.
    select e.account_id, e.at, jsonb_object_agg(e.name, e.count) as failures
    from (
        select c.account_id, c.at, f.key as name, sum(f.value::int) as count
        from counted c
        cross join lateral jsonb_each_text(c.failures) f
        group by c.account_id, c.at, f.key
    ) e
    group by e.account_id, e.at
), sums_of_account as (
    -- The other sums of each account.
    select c.account_id, c.at, sum(c.accepted)::int as accepted, sum(c.sent)::int as sent,
           sum(c.received)::int as received, sum(c.callbacks_delivered)::int as callbacks_delivered,
           sum(c.callbacks_failed)::int as callbacks_failed, sum(c.latency_ms)::bigint as latency_ms,
           array[
               sum(c.latency_counts[1]), sum(c.latency_counts[2]), sum(c.latency_counts[3]),
               sum(c.latency_counts[4]), sum(c.latency_counts[5]), sum(c.latency_counts[6]),
               sum(c.latency_counts[7]), sum(c.latency_counts[8]), sum(c.latency_counts[9]),
               sum(c.latency_counts[10]), sum(c.latency_counts[11]), sum(c.latency_counts[12]),
               sum(c.latency_counts[13])
           ]::int[] as latency_counts,
           sum(c.callbacks_timed)::int as callbacks_timed, sum(c.callback_lag_ms)::bigint as callback_lag_ms,
           max(c.callback_lag_max_ms) as callback_lag_max_ms
    from counted c
    group by c.account_id, c.at
), added as (
    -- The rows of instances and of accounts.
    select c.account_id, c.instance_id, c.at, c.accepted, c.sent, c.received, c.callbacks_delivered,
           c.callbacks_failed, c.failures, c.latency_ms, c.latency_counts, c.callbacks_timed,
           c.callback_lag_ms, c.callback_lag_max_ms
    from counted c
    union all
    select s.account_id, '', s.at, s.accepted, s.sent, s.received, s.callbacks_delivered,
           s.callbacks_failed, coalesce(f.failures, '{}'), s.latency_ms, s.latency_counts, s.callbacks_timed,
           s.callback_lag_ms, s.callback_lag_max_ms
    from sums_of_account s
    left join failed_of_account f on f.account_id = s.account_id and f.at = s.at
)
insert into traffic as t (
    account_id, instance_id, at, accepted, sent, received, callbacks_delivered, callbacks_failed, failures,
    latency_ms, latency_counts, callbacks_timed, callback_lag_ms, callback_lag_max_ms
)
select s.account_id, s.instance_id, s.at, s.accepted, s.sent, s.received, s.callbacks_delivered,
       s.callbacks_failed, s.failures, s.latency_ms, s.latency_counts, s.callbacks_timed, s.callback_lag_ms,
       s.callback_lag_max_ms
from added s
cross join flush
order by s.account_id, s.instance_id, s.at
on conflict (account_id, instance_id, at) do update
set accepted = t.accepted + excluded.accepted,
    sent = t.sent + excluded.sent,
    received = t.received + excluded.received,
    callbacks_delivered = t.callbacks_delivered + excluded.callbacks_delivered,
    callbacks_failed = t.callbacks_failed + excluded.callbacks_failed,
    failures = (
        select coalesce(jsonb_object_agg(e.name, e.count), '{}')
        from (
            select f.key as name, sum(f.value::int) as count
            from (
                select * from jsonb_each_text(t.failures)
                union all
                select * from jsonb_each_text(excluded.failures)
            ) f
            group by f.key
        ) e
    ),
    latency_ms = t.latency_ms + excluded.latency_ms,
    latency_counts = array(
        select l.stored + l.added
        from unnest(t.latency_counts, excluded.latency_counts) with ordinality as l (stored, added, bound)
        order by l.bound
    ),
    callbacks_timed = t.callbacks_timed + excluded.callbacks_timed,
    callback_lag_ms = t.callback_lag_ms + excluded.callback_lag_ms,
    callback_lag_max_ms = greatest(t.callback_lag_max_ms, excluded.callback_lag_max_ms);

-- name: sample_waiting
-- Notes how many messages wait for their turn in each queue, and in all of each account, where that is
-- the most of the period. One node samples all queues, also those that no node works on. Two walks along
-- indexes count them; only queues that grew cost a row.
with queued as materialized (
    -- What is in each queue.
    select q.instance_id, count(*) as count from message_queue q where q.status <> 'failed' group by q.instance_id
), scheduled as materialized (
    -- What of it is for later.
    select q.instance_id, count(*) as count from message_queue q where q.status = 'scheduled' group by q.instance_id
), waiting as materialized (
    -- What waits, by queue.
    select i.account_id, i.id as instance_id, n.count - coalesce(l.count, 0) as count
    from queued n
    join instances i on i.id = n.instance_id
    left join scheduled l on l.instance_id = n.instance_id
    where n.count > coalesce(l.count, 0)
), counted as (
    -- The same, with that of accounts.
    select w.account_id, w.instance_id, w.count from waiting w
    union all
    select w.account_id, '', sum(w.count) from waiting w group by w.account_id
), grown as materialized (
    -- What is the most of the period.
    select c.account_id, c.instance_id, c.count
    from counted c
    left join traffic t
        on t.account_id = c.account_id and t.instance_id = c.instance_id and t.at = %(at)s::timestamptz
    where t.waiting_max is null or t.waiting_max < c.count
), found_instance as materialized (
    -- Leaves out instances that were deleted meanwhile, and locks the others.
    select i.id from instances i where i.id in (select instance_id from grown) order by i.id for key share
), found_account as materialized (
    -- Leaves out accounts that were deleted meanwhile, and locks the others.
    select a.id from accounts a where a.id in (select account_id from grown) order by a.id for key share
)
insert into traffic as t (
    account_id, instance_id, at, accepted, sent, received, callbacks_delivered, callbacks_failed, failures,
    latency_ms, latency_counts, waiting_max
)
select g.account_id, g.instance_id, %(at)s::timestamptz, 0, 0, 0, 0, 0, '{}', 0, array_fill(0, '{13}'), g.count
from grown g
where g.account_id in (select id from found_account)
    and (g.instance_id = '' or g.instance_id in (select id from found_instance))
order by g.account_id, g.instance_id
on conflict (account_id, instance_id, at) do update
set waiting_max = greatest(t.waiting_max, excluded.waiting_max);

-- name: read_series
-- The sums of an account (no instance) or of one of its instances, by steps that begin at multiples of
-- step_seconds.
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
       ]::bigint[] as latency_counts,
       max(t.waiting_max)::bigint as waiting,
       sum(t.callbacks_timed)::bigint as callbacks_timed,
       sum(t.callback_lag_ms)::bigint as callback_lag_ms,
       max(t.callback_lag_max_ms)::bigint as callback_lag_max_ms
from traffic t
where t.account_id = %(account_id)s::text and t.instance_id = coalesce(%(instance_id)s::text, '')
    and t.at >= %(from)s::timestamptz and t.at < %(to)s::timestamptz
group by 1;

-- name: read_failures
-- The failed messages of the same steps, by class of error.
select to_timestamp(extract(epoch from t.at)::bigint / %(step_seconds)s::int * %(step_seconds)s::int) as at,
       f.key as error_class,
       sum(f.value::int)::bigint as count
from traffic t
cross join lateral jsonb_each_text(t.failures) f
where t.account_id = %(account_id)s::text and t.instance_id = coalesce(%(instance_id)s::text, '')
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
