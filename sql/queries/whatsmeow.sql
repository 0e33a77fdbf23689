-- name: find_device
select device, kept_in from whatsmeow.devices where instance_id = %(instance_id)s::text;

-- name: add_device
insert into whatsmeow.devices (instance_id, device, kept_in)
values (%(instance_id)s::text, %(device)s::text, %(kept_in)s::text)
on conflict (instance_id) do update
set device = excluded.device, kept_in = excluded.kept_in, linked_at = now();

-- name: forget_device
delete from whatsmeow.devices
where instance_id = %(instance_id)s::text and device = %(device)s::text;

-- name: add_event
insert into whatsmeow.events (instance_id, name, body)
values (%(instance_id)s::text, %(kind)s::text, %(body)s::jsonb);

-- name: next_events
select id, at, name, body from whatsmeow.events
where instance_id = %(instance_id)s::text and id > %(after)s::bigint
order by id
limit %(max_count)s::int;

-- name: forget_event
delete from whatsmeow.events
where instance_id = %(instance_id)s::text and id = %(id)s::bigint;

-- name: add_send
insert into whatsmeow.sends (instance_id, provider_message_id, message_id)
values (%(instance_id)s::text, %(provider_message_id)s::text, %(message_id)s::text)
on conflict (instance_id, provider_message_id) do nothing;

-- name: our_ids
select provider_message_id, message_id from whatsmeow.sends
where instance_id = %(instance_id)s::text
    and provider_message_id = any(%(provider_message_ids)s::text[]);

-- name: forget_old_sends
-- History knows both ids for good; this is for the time in which a message is not there yet.
delete from whatsmeow.sends
where ctid = any(array(
    select ctid from whatsmeow.sends
    where at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning instance_id;

-- name: add_poll
insert into whatsmeow.polls (instance_id, provider_message_id, options)
values (%(instance_id)s::text, %(provider_message_id)s::text, %(options)s::text[])
on conflict (instance_id, provider_message_id) do nothing;

-- name: poll_options
select options from whatsmeow.polls
where instance_id = %(instance_id)s::text and provider_message_id = %(provider_message_id)s::text;

-- name: forget_old_polls
delete from whatsmeow.polls
where ctid = any(array(
    select ctid from whatsmeow.polls
    where at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning instance_id;
