-- Aliases: e stored event, s who sent it and where.
-- Content (gateway/database/content_declarations.py):
-- seals add_event body:library_event
-- opens next_events body:library_event
-- seals add_poll options:text
-- opens poll_options options:texts
-- rows whatsmeow.events id:bigint / body:library_event
-- rows whatsmeow.polls provider_message_id:text / options:texts

-- name: find_device
select device, kept_in as key_store from whatsmeow.devices where instance_id = %(instance_id)s::text;

-- name: add_device
insert into whatsmeow.devices (instance_id, device, kept_in)
values (%(instance_id)s::text, %(device)s::text, %(key_store)s::text)
on conflict (instance_id) do update
set device = excluded.device, kept_in = excluded.kept_in, linked_at = now();

-- name: delete_device
delete from whatsmeow.devices
where instance_id = %(instance_id)s::text and device = %(device)s::text;

-- name: add_event
-- Repeated with the same key, it adds nothing.
insert into whatsmeow.events (instance_id, event_key, name, body)
values (%(instance_id)s::text, %(key)s::uuid, %(kind)s::text, %(body)s::jsonb)
on conflict (instance_id, event_key) do nothing;

-- name: next_events
select id, at, name, body from whatsmeow.events
where instance_id = %(instance_id)s::text and id > %(after)s::bigint
order by id
limit %(max_count)s::int;

-- name: delete_event
delete from whatsmeow.events
where instance_id = %(instance_id)s::text and id = %(id)s::bigint;

-- name: set_event_aside
-- Lets later events pass one that cannot be read. Returns no row if it was set aside before.
update whatsmeow.events set error = %(error)s::text
where instance_id = %(instance_id)s::text and id = %(id)s::bigint and error is null
returning id;

-- name: delete_unreadable
-- Deletes events that no session could read for so long.
delete from whatsmeow.events
where ctid = any(array(
    select ctid from whatsmeow.events
    where error is not null and at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning id;

-- name: add_send
insert into whatsmeow.sends (instance_id, provider_message_id, message_id)
values (%(instance_id)s::text, %(provider_message_id)s::text, %(message_id)s::text)
on conflict (instance_id, provider_message_id) do nothing;

-- name: message_ids
select provider_message_id, message_id from whatsmeow.sends
where instance_id = %(instance_id)s::text
    and provider_message_id = any(%(provider_message_ids)s::text[]);

-- name: delete_expired_sends
-- History has both ids for longer; these rows serve until the message is in history.
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

-- name: delete_expired_polls
delete from whatsmeow.polls
where ctid = any(array(
    select ctid from whatsmeow.polls
    where at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning instance_id;

-- name: delete_instance
-- At most `max_count` rows of each table.
with deleted_events as (
    -- Deletes rows of `events`.
    delete from whatsmeow.events
    where ctid = any(array(
        select ctid from whatsmeow.events where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_sends as (
    -- Deletes rows of `sends`.
    delete from whatsmeow.sends
    where ctid = any(array(
        select ctid from whatsmeow.sends where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_polls as (
    -- Deletes rows of `polls`.
    delete from whatsmeow.polls
    where ctid = any(array(
        select ctid from whatsmeow.polls where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_devices as (
    -- Deletes the linked device.
    delete from whatsmeow.devices
    where instance_id = %(instance_id)s::text
    returning device, kept_in
), deleted_keys as (
    -- Deletes its keys in the library's own tables.
    select whatsmeow.delete_library_device_v1(device) as deleted
    from deleted_devices
    where kept_in = 'postgres'
)
select (select count(*) from deleted_events) + (select count(*) from deleted_sends)
    + (select count(*) from deleted_polls) + (select count(*) from deleted_devices)
    + (select coalesce(sum(deleted), 0) from deleted_keys) as deleted;

-- name: erase_person
with deleted_events as (
    -- Deletes messages and receipts of the person's chat or by the person.
    delete from whatsmeow.events
    where id = any(array(
        select e.id
        from whatsmeow.events e
        cross join lateral (
            select coalesce(e.body #> '{Info,MessageSource}', e.body -> 'MessageSource') as source
        ) s
        where e.instance_id = %(instance_id)s::text
            and array[
                source #>> '{Chat,User}', source #>> '{Sender,User}', source #>> '{SenderAlt,User}',
                source #>> '{RecipientAlt,User}'
            ] && %(users)s::text[]
        for update of e skip locked
    ))
    returning 1
), deleted_sends as (
    -- Deletes the pairs of ids of messages to the person.
    delete from whatsmeow.sends
    where instance_id = %(instance_id)s::text and provider_message_id = any(%(message_ids)s::text[])
    returning 1
), deleted_polls as (
    -- Deletes the polls from and to the person.
    delete from whatsmeow.polls
    where instance_id = %(instance_id)s::text and provider_message_id = any(%(message_ids)s::text[])
    returning 1
), erased_keys as (
    -- Deletes what the library's own tables hold of the person.
    select whatsmeow.erase_library_contact_v1(device, %(users)s::text[]) as erased
    from whatsmeow.devices
    where instance_id = %(instance_id)s::text and kept_in = 'postgres'
)
select (select count(*) from deleted_events) + (select count(*) from deleted_sends)
    + (select count(*) from deleted_polls)
    + (select coalesce(sum(erased), 0) from erased_keys) as erased;

-- name: list_key_file_owners
select instance_id from whatsmeow.devices where kept_in = 'file';
