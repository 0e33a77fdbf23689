-- Aliases: c name of the chat, m message.

-- name: search_final
-- History and failed messages, newest first, below the last one that was examined. Of the newest
-- max_examined it returns those in one of the states; null returns all.
select * from (
    select * from message_states
    where instance_id = %(instance_id)s::text and settled
        and (recorded_at, message_id) < (%(before)s::timestamptz, %(before_id)s::text)
        and recorded_at >= coalesce(%(from)s::timestamptz, '-infinity')
        and recorded_at < coalesce(%(to)s::timestamptz, 'infinity')
    order by recorded_at desc, message_id desc
    limit %(max_examined)s::int
) m
where %(states)s::text[] is null or m.status = any(%(states)s::text[])
order by m.recorded_at desc, m.message_id desc
limit %(limit)s::int;

-- name: end_of_final
-- The last message that search_final examines, if it examines as many as it may.
select recorded_at, message_id from message_states
where instance_id = %(instance_id)s::text and settled
    and (recorded_at, message_id) < (%(before)s::timestamptz, %(before_id)s::text)
    and recorded_at >= coalesce(%(from)s::timestamptz, '-infinity')
    and recorded_at < coalesce(%(to)s::timestamptz, 'infinity')
order by recorded_at desc, message_id desc
limit 1 offset %(max_examined)s::int - 1;

-- name: search_final_of_chat
-- The same of one chat, by each of its names; all messages of the chat may be examined.
select m.*
from unnest(%(phones)s::text[]) as c (name)
cross join lateral (
    select * from message_states
    where instance_id = %(instance_id)s::text and settled and phone = c.name
        and (recorded_at, message_id) < (%(before)s::timestamptz, %(before_id)s::text)
        and recorded_at >= coalesce(%(from)s::timestamptz, '-infinity')
        and recorded_at < coalesce(%(to)s::timestamptz, 'infinity')
        and (%(states)s::text[] is null or status = any(%(states)s::text[]))
    order by recorded_at desc, message_id desc
    limit %(limit)s::int
) m
order by m.recorded_at desc, m.message_id desc
limit %(limit)s::int;

-- name: search_waiting
-- Messages that wait or are in flight, the last accepted first, below the last one that was examined.
-- Of the newest max_examined it returns those that match.
select * from (
    select * from message_states
    where instance_id = %(instance_id)s::text and not settled and sequence_number < %(before)s::bigint
    order by sequence_number desc
    limit %(max_examined)s::int
) m
where (%(states)s::text[] is null or m.status = any(%(states)s::text[]))
    and (%(phones)s::text[] is null or m.phone = any(%(phones)s::text[]))
    and m.created_at >= coalesce(%(from)s::timestamptz, '-infinity')
    and m.created_at < coalesce(%(to)s::timestamptz, 'infinity')
order by m.sequence_number desc
limit %(limit)s::int;

-- name: end_of_waiting
-- The last message that search_waiting examines, if it examines as many as it may.
select sequence_number, created_at from message_states
where instance_id = %(instance_id)s::text and not settled and sequence_number < %(before)s::bigint
order by sequence_number desc
limit 1 offset %(max_examined)s::int - 1;
