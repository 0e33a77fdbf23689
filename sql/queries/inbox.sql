-- Aliases: e reported event, i stored event.

-- name: add_events
-- Stores events, at most one of each instance, unless they are repetitions; returns the new ones. Leaves
-- the body out (`at_once`) where the caller can process the event in this transaction: no other event of
-- its chat is pending.
insert into inbox (instance_id, event_id, chat, own_phone, body)
select e.instance_id, e.event_id, e.chat, e.own_phone,
       case
           when not %(at_once)s::boolean or exists (
               select 1 from inbox i
               where i.instance_id = e.instance_id and i.chat = e.chat
                   and i.body is not null and i.error is null
           ) then e.body
       end
from unnest(
    %(instance_ids)s::text[], %(event_ids)s::text[], %(chats)s::text[], %(own_phones)s::text[],
    %(bodies)s::jsonb[]
) as e (instance_id, event_id, chat, own_phone, body)
on conflict (instance_id, event_id) do nothing
returning instance_id, body is null as at_once;

-- name: add_event_body
-- Stores the body of an event that could not be processed at once: the event is now pending.
update inbox set body = %(body)s::jsonb
where instance_id = %(instance_id)s::text and event_id = %(event_id)s::text;

-- name: next_event
-- The oldest pending event of a chat that has not failed.
select event_id, own_phone, body,
       extract(epoch from now() - taken_at)::double precision as waited_seconds
from inbox
where instance_id = %(instance_id)s::text and chat = %(chat)s::text
    and body is not null and error is null
order by position
limit 1;

-- name: finish_event
-- Ends a pending event. Returns no row if it is not pending any more.
update inbox set body = null
where instance_id = %(instance_id)s::text and event_id = %(event_id)s::text and body is not null
returning event_id;

-- name: record_event_error
-- Lets the later events of the chat pass a failed one. It is tried again at the next connection.
update inbox set error = %(error)s::text
where instance_id = %(instance_id)s::text and event_id = %(event_id)s::text;

-- name: retry_events
-- Makes failed events pending again.
update inbox set error = null
where instance_id = %(instance_id)s::text and body is not null and error is not null;

-- name: pending_chats
select chat from inbox
where instance_id = %(instance_id)s::text and body is not null
group by chat;

-- name: delete_processed_events
-- Deletes the ids of processed events, once the provider cannot repeat them any more.
delete from inbox
where ctid = any(array(
    select ctid from inbox
    where body is null and taken_at < now() - make_interval(secs => %(seconds)s::double precision)
    limit %(max_count)s::int
));

-- name: delete_failed_events
-- Deletes events that failed at every connection for this long.
delete from inbox
where ctid = any(array(
    select ctid from inbox
    where error is not null and taken_at < now() - make_interval(secs => %(seconds)s::double precision)
    limit %(max_count)s::int
));
