-- Aliases: b message behind a parked one, c chat with messages behind, e examined message, h head of a
-- lane, m and q queued message, w wanted message.

-- name: find_sending
-- The message that the worker has claimed; its attempt may have started.
select id from message_queue where instance_id = %(instance_id)s::text and status = 'processing';

-- name: list_lane
-- The messages of a lane that wait for their turn, in the order in which they may leave, after a
-- position. Examines at most max_examined and returns those that match, and the last examined one,
-- which says where the next page begins.
with recursive chat as (
    -- The first chat with messages behind, then the one after it: one index look-up each.
    (
        select b.phone from message_queue b
        where b.instance_id = %(instance_id)s::text and b.status = 'behind'
        order by b.phone
        limit 1
    )
    union all
    select (
        select b.phone from message_queue b
        where b.instance_id = %(instance_id)s::text and b.status = 'behind' and b.phone > c.phone
        order by b.phone
        limit 1
    )
    from chat c
    where c.phone is not null
), in_turn as materialized (
    -- The next messages of the lane that nothing holds back.
    select id, position from message_queue
    where instance_id = %(instance_id)s::text and status = 'pending' and priority = %(lane)s::smallint
        and position > %(after)s::bigint
    order by position
    limit %(max_examined)s::int
), parked as (
    -- Those that wait for their file or their next attempt: a bounded number of each instance.
    select id, position from message_queue
    where instance_id = %(instance_id)s::text and status = 'parked' and priority = %(lane)s::smallint
        and position > %(after)s::bigint
), behind as (
    -- Those behind a parked one of their chat.
    select b.id, b.position
    from chat c
    cross join lateral (
        select q.id, q.position from message_queue q
        where q.instance_id = %(instance_id)s::text and q.phone = c.phone
            and q.priority = %(lane)s::smallint and q.status = 'behind' and q.position > %(after)s::bigint
        order by q.position
        limit %(max_examined)s::int
    ) b
    where c.phone is not null
), examined as materialized (
    -- The next of all three.
    select id, position, row_number() over (order by position) = %(max_examined)s::int as is_end
    from (select * from in_turn union all select * from parked union all select * from behind) waiting
    order by position
    limit %(max_examined)s::int
)
select * from (
    select e.id, e.position, e.is_end,
           (%(status)s::text is null or reported_status_v1(q) = %(status)s::text)
               and (%(type)s::text is null or q.type = %(type)s::text)
               and (%(phones)s::text[] is null or q.phone = any(%(phones)s::text[]))
               and (%(track_id)s::text is null or q.payload ->> 'track_id' is not distinct from %(track_id)s::text)
               and (%(before)s::timestamptz is null or q.created_at < %(before)s::timestamptz) as is_match
    from examined e
    cross join lateral (
        select * from message_queue m where m.instance_id = %(instance_id)s::text and m.id = e.id
        offset 0
    ) q
) found
where is_match or is_end
order by position
limit %(limit)s::int;

-- name: describe_waiting
-- Queued messages as the view message_states shows them, in the order of the ids, with what says why
-- each of them waits.
select q.instance_id, q.message_id, q.zaap_id, q.phone, null::text as sender, true as from_me, q.type,
       q.payload, reported_status_v1(q) as status, q.attempts, q.last_error as error,
       q.updated_at as recorded_at, q.created_at, q.attempt_started_at, null::timestamptz as sent_at,
       null::timestamptz as delivered_at, null::timestamptz as read_at, null::timestamptz as played_at,
       null::timestamptz as failed_at, q.sequence_number, q.priority, q.max_attempts, q.due_at,
       q.expires_at, false as settled, true as in_queue, q.id, q.status as state, q.parked_for,
       q.withheld_for, q.deferrals,
       q.due_at <= now() as is_due, q.claimed_at
from unnest(%(ids)s::bigint[]) with ordinality as w (id, nth)
join message_queue q on q.instance_id = %(instance_id)s::text and q.id = w.id
order by w.nth;

-- name: count_lanes
-- How many messages of each lane wait for their turn, by the indexes alone.
select lane.priority, in_turn.count + parked.count + behind.count as waiting
from (values (0::smallint), (1::smallint), (2::smallint)) as lane (priority)
cross join lateral (
    select count(*) as count from message_queue q
    where q.instance_id = %(instance_id)s::text and q.status = 'pending' and q.priority = lane.priority
) in_turn
cross join lateral (
    select count(*) as count from message_queue q
    where q.instance_id = %(instance_id)s::text and q.status = 'parked' and q.priority = lane.priority
) parked
cross join lateral (
    select count(*) as count from message_queue q
    where q.instance_id = %(instance_id)s::text and q.status = 'behind' and q.priority = lane.priority
) behind
order by lane.priority;

-- name: mean_delay
-- The mean delay in seconds, typing included, that the next messages of the lanes ask for.
select coalesce(avg(
    coalesce((h.payload ->> 'delay_message')::int, 0) + coalesce((h.payload ->> 'delay_typing')::int, 0)
), 0)::double precision as seconds
from (values (0::smallint), (1::smallint), (2::smallint)) as lane (priority)
cross join lateral (
    select q.payload from message_queue q
    where q.instance_id = %(instance_id)s::text and q.status = 'pending' and q.priority = lane.priority
    order by q.position
    limit %(max_count)s::int
) h;

-- name: count_apart
-- How many messages are in no lane now: scheduled ones, and those that failed.
select (
        select count(*) from message_queue
        where instance_id = %(instance_id)s::text and status = 'scheduled'
    ) as scheduled,
    (
        select count(*) from message_queue
        where instance_id = %(instance_id)s::text and status = 'failed'
    ) as failed;

-- name: count_scheduled_by_day
-- Days of a time zone with the number of messages that are scheduled for each.
select (due_at at time zone %(time_zone)s::text)::date as day, count(*) as count
from message_queue
where instance_id = %(instance_id)s::text and status = 'scheduled'
    and due_at >= coalesce(%(from)s::timestamptz, '-infinity')
    and due_at < coalesce(%(to)s::timestamptz, 'infinity')
group by 1
order by 1
limit %(max_days)s::int;

-- name: list_scheduled
-- Scheduled messages in the order of their times, after the last one of the page before.
select id, due_at from message_queue
where instance_id = %(instance_id)s::text and status = 'scheduled'
    and (due_at, id) > (%(after)s::timestamptz, %(after_id)s::bigint)
    and due_at >= coalesce(%(from)s::timestamptz, '-infinity')
    and due_at < coalesce(%(to)s::timestamptz, 'infinity')
order by due_at, id
limit %(limit)s::int;
