-- Aliases: e stored event, s who sent it and where, k key, g given rows.
-- Content (gateway/database/content_declarations.py):
-- seals commit bodies:library_event values:secret
-- opens next_events body:library_event
-- opens find_keys value:secret
-- opens list_keys value:secret
-- opens list_stale_keys value:secret
-- seals reseal_keys values:secret
-- seals add_poll options:text
-- opens poll_options options:texts
-- rows baileys.events id:bigint / body:library_event
-- rows baileys.polls provider_message_id:text / options:texts
-- secrets baileys.keys value

-- name: raise_fence
-- Refuses writes of older epochs from now on; returns nothing if a newer epoch did so before.
insert into baileys.fences (instance_id, epoch)
values (%(instance_id)s::text, %(epoch)s::bigint)
on conflict (instance_id) do update set epoch = excluded.epoch
where fences.epoch <= excluded.epoch
returning epoch;

-- name: find_device
select device from baileys.devices where instance_id = %(instance_id)s::text;

-- name: delete_device
-- Deletes the device with all its keys.
with deleted_device as (
    -- Deletes the device.
    delete from baileys.devices where instance_id = %(instance_id)s::text
)
delete from baileys.keys where instance_id = %(instance_id)s::text;

-- name: find_keys
select id, value from baileys.keys
where instance_id = %(instance_id)s::text and kind = %(kind)s::text and id = any(%(ids)s::text[]);

-- name: list_stale_keys
-- Keys that are not sealed under the present secret, of which `prefix` is what a value begins with.
select kind, id, value, xmin::text as version from baileys.keys
where instance_id = %(instance_id)s::text
    and (kind, id) > (%(after_kind)s::text, %(after_id)s::text)
    and not starts_with(value, %(prefix)s::text)
order by kind, id
limit %(max_count)s::int;

-- name: reseal_keys
-- Writes the same keys under another secret, where nothing changed them since they were read.
with fence as (
    -- Holds off a newer epoch until this one has written.
    select 1 from baileys.fences
    where instance_id = %(instance_id)s::text and epoch = %(epoch)s::bigint
    for share
)
update baileys.keys k set value = g.value
from unnest(%(kinds)s::text[], %(ids)s::text[], %(versions)s::text[], %(values)s::text[])
    as g (kind, id, version, value)
where k.instance_id = %(instance_id)s::text and k.kind = g.kind and k.id = g.id
    and k.xmin::text = g.version and exists (select 1 from fence)
returning k.kind;

-- name: commit
-- Writes keys and events together; returns whether the epoch may. Repeated, it changes nothing.
with fence as (
    -- Holds off a newer epoch until this one has written.
    select 1 from baileys.fences
    where instance_id = %(instance_id)s::text and epoch = %(epoch)s::bigint
    for share
), written as (
    -- Writes keys.
    insert into baileys.keys (instance_id, kind, id, value)
    select %(instance_id)s::text, g.kind, g.id, g.value
    from unnest(%(kinds)s::text[], %(ids)s::text[], %(values)s::text[]) as g (kind, id, value)
    where exists (select 1 from fence)
    on conflict (instance_id, kind, id) do update set value = excluded.value
), deleted as (
    -- Deletes keys.
    delete from baileys.keys k
    using unnest(%(deleted_kinds)s::text[], %(deleted_ids)s::text[]) as g (kind, id)
    where k.instance_id = %(instance_id)s::text and k.kind = g.kind and k.id = g.id
        and exists (select 1 from fence)
), stored as (
    -- Stores events, in their order.
    insert into baileys.events (instance_id, event_key, name, body)
    select %(instance_id)s::text, g.key::uuid, g.name, g.body::jsonb
    from unnest(%(keys)s::text[], %(names)s::text[], %(bodies)s::text[])
        with ordinality as g (key, name, body, place)
    where exists (select 1 from fence)
    order by g.place
    on conflict (instance_id, event_key) do nothing
), marked as (
    -- Notes which messages are stored.
    insert into baileys.received (instance_id, mark)
    select %(instance_id)s::text, g.mark from unnest(%(received)s::text[]) as g (mark)
    where exists (select 1 from fence)
    on conflict (instance_id, mark) do nothing
), linked as (
    -- Stores the device, once a phone is linked.
    insert into baileys.devices (instance_id, device)
    select %(instance_id)s::text, %(device)s::text
    where %(device)s::text is not null and exists (select 1 from fence)
    on conflict (instance_id) do update set device = excluded.device, linked_at = now()
)
select exists (select 1 from fence) as may_write;

-- name: find_received
select mark from baileys.received
where instance_id = %(instance_id)s::text and mark = any(%(received)s::text[]);

-- name: delete_expired_received
delete from baileys.received
where ctid = any(array(
    select ctid from baileys.received
    where at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning instance_id;

-- name: delete_expired_secrets
-- Of polls and events on which people no longer vote.
delete from baileys.keys
where ctid = any(array(
    select ctid from baileys.keys
    where kind = 'message-secret' and at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning instance_id;

-- name: next_events
select id, at, name, body from baileys.events
where instance_id = %(instance_id)s::text and id > %(after)s::bigint
order by id
limit %(max_count)s::int;

-- name: delete_event
delete from baileys.events
where instance_id = %(instance_id)s::text and id = %(id)s::bigint;

-- name: set_event_aside
-- Lets later events pass one that cannot be read. Returns no row if it was set aside before.
update baileys.events set error = %(error)s::text
where instance_id = %(instance_id)s::text and id = %(id)s::bigint and error is null
returning id;

-- name: delete_unreadable
-- Deletes events that no session could read for so long.
delete from baileys.events
where ctid = any(array(
    select ctid from baileys.events
    where error is not null and at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning id;

-- name: add_send
insert into baileys.sends (instance_id, provider_message_id, message_id)
values (%(instance_id)s::text, %(provider_message_id)s::text, %(message_id)s::text)
on conflict (instance_id, provider_message_id) do nothing;

-- name: message_ids
select provider_message_id, message_id from baileys.sends
where instance_id = %(instance_id)s::text
    and provider_message_id = any(%(provider_message_ids)s::text[]);

-- name: delete_expired_sends
-- History has both ids for longer; these rows serve until the message is in history.
delete from baileys.sends
where ctid = any(array(
    select ctid from baileys.sends
    where at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning instance_id;

-- name: add_poll
insert into baileys.polls (instance_id, provider_message_id, options)
values (%(instance_id)s::text, %(provider_message_id)s::text, %(options)s::text[])
on conflict (instance_id, provider_message_id) do nothing;

-- name: poll_options
select options from baileys.polls
where instance_id = %(instance_id)s::text and provider_message_id = %(provider_message_id)s::text;

-- name: delete_expired_polls
delete from baileys.polls
where ctid = any(array(
    select ctid from baileys.polls
    where at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning instance_id;

-- name: delete_instance
-- At most `max_count` rows of each table.
with deleted_events as (
    -- Deletes rows of `events`.
    delete from baileys.events
    where ctid = any(array(
        select ctid from baileys.events where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_sends as (
    -- Deletes rows of `sends`.
    delete from baileys.sends
    where ctid = any(array(
        select ctid from baileys.sends where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_polls as (
    -- Deletes rows of `polls`.
    delete from baileys.polls
    where ctid = any(array(
        select ctid from baileys.polls where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_received as (
    -- Deletes rows of `received`.
    delete from baileys.received
    where ctid = any(array(
        select ctid from baileys.received where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_keys as (
    -- Deletes rows of `keys`.
    delete from baileys.keys
    where ctid = any(array(
        select ctid from baileys.keys where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_devices as (
    -- Deletes the linked device.
    delete from baileys.devices where instance_id = %(instance_id)s::text
    returning 1
), deleted_fences as (
    -- Deletes the fence: a session that still runs elsewhere can write nothing more.
    delete from baileys.fences where instance_id = %(instance_id)s::text
    returning 1
)
select (select count(*) from deleted_events) + (select count(*) from deleted_sends)
    + (select count(*) from deleted_polls) + (select count(*) from deleted_received)
    + (select count(*) from deleted_keys) + (select count(*) from deleted_devices) + (select count(*) from deleted_fences) as deleted;

-- name: erase_person
-- `users` are the parts of addresses before the `@`.
with deleted_events as (
    -- Deletes events of the person's chat or by the person.
    delete from baileys.events
    where id = any(array(
        select e.id
        from baileys.events e
        cross join lateral (
            select coalesce(e.body #> '{Info,MessageSource}', e.body -> 'MessageSource') as source
        ) s
        where e.instance_id = %(instance_id)s::text
            and array[
                source #>> '{Chat,User}', source #>> '{Sender,User}', source #>> '{SenderAlt,User}',
                source #>> '{RecipientAlt,User}', e.body #>> '{JID,User}', e.body #>> '{From,User}',
                e.body #>> '{basicCallMeta,from,User}', e.body #>> '{basicCallMeta,callCreator,User}'
            ] && %(users)s::text[]
        for update of e skip locked
    ))
    returning 1
), deleted_sends as (
    -- Deletes the pairs of ids of messages to the person.
    delete from baileys.sends
    where instance_id = %(instance_id)s::text and provider_message_id = any(%(message_ids)s::text[])
    returning 1
), deleted_polls as (
    -- Deletes the polls from and to the person.
    delete from baileys.polls
    where instance_id = %(instance_id)s::text and provider_message_id = any(%(message_ids)s::text[])
    returning 1
), deleted_keys as (
    -- Deletes keys that name the person; new ones are made with the next message.
    delete from baileys.keys
    where instance_id = %(instance_id)s::text
        and kind <> 'creds'
        and (regexp_split_to_array(id, '[^0-9]+') && %(users)s::text[]
            or id = any(%(ids)s::text[]))
    returning 1
)
select (select count(*) from deleted_events) + (select count(*) from deleted_sends)
    + (select count(*) from deleted_polls) + (select count(*) from deleted_keys) as erased;

-- name: list_keys
select id, value from baileys.keys
where instance_id = %(instance_id)s::text and kind = %(kind)s::text
order by id;
