-- Aliases: i stored event.

-- name: add_event
-- Without its body where it is settled in the same transaction: not behind another of its chat.
insert into inbox (instance_id, event_id, chat, own_phone, body)
select %(instance_id)s::text, %(event_id)s::text, %(chat)s::text, %(own_phone)s::text,
       case
           when not %(at_once)s::boolean or exists (
               select 1 from inbox i
               where i.instance_id = %(instance_id)s::text and i.chat = %(chat)s::text
                   and i.body is not null and i.error is null
           ) then %(body)s::jsonb
       end
on conflict (instance_id, event_id) do nothing
returning body is null as at_once;

-- name: keep_event
-- It could not be settled at once.
update inbox set body = %(body)s::jsonb
where instance_id = %(instance_id)s::text and event_id = %(event_id)s::text;

-- name: next_event
select event_id, own_phone, body,
       extract(epoch from now() - taken_at)::double precision as waited_seconds
from inbox
where instance_id = %(instance_id)s::text and chat = %(chat)s::text
    and body is not null and error is null
order by position
limit 1;

-- name: settle_event
-- No row where it was settled meanwhile.
update inbox set body = null
where instance_id = %(instance_id)s::text and event_id = %(event_id)s::text and body is not null
returning event_id;

-- name: note_event_error
-- The chat goes on without it; it is tried again when the session is opened next.
update inbox set error = %(error)s::text
where instance_id = %(instance_id)s::text and event_id = %(event_id)s::text;

-- name: retry_events
update inbox set error = null
where instance_id = %(instance_id)s::text and body is not null and error is not null;

-- name: unsettled_chats
select chat from inbox
where instance_id = %(instance_id)s::text and body is not null
group by chat;

-- name: forget_settled
delete from inbox
where ctid = any(array(
    select ctid from inbox
    where body is null and taken_at < now() - make_interval(secs => %(seconds)s::double precision)
    limit %(max_count)s::int
));

-- name: give_up_events
-- At which we failed whenever their session was opened.
delete from inbox
where ctid = any(array(
    select ctid from inbox
    where error is not null and taken_at < now() - make_interval(secs => %(seconds)s::double precision)
    limit %(max_count)s::int
));
