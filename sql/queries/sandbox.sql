-- Aliases: a account, b phone before the change, c changed phone, d reader (in write_entity: written
-- id), e event or entity, g group, j message in the journal, k marks, o phone of another instance (in
-- delete_expired_messages: old message), p phone, r ready phone (in refusal and readers: group; in
-- receipts: receipt), s sent message, t emitted event.
-- Content (gateway/database/content_declarations.py):
-- seals accept_message payload:message answer:simulated_event remote_message:simulated_event marks:texts
-- seals mark_message marks:texts
-- opens list_marks marks:texts
-- opens list_sent payload:message marks:texts
-- opens due_events body:simulated_event
-- seals receive_message body:simulated_event
-- seals write_entity event_bodies:simulated_event
-- rows sandbox.sent message_id:text / payload:message
-- rows sandbox.marks message_id:text / marks:texts

-- name: open_phone
-- Creates or opens the phone. Returns no row if another session has a newer lease. A phone that
-- control created before its first opening (epoch 0) starts in the state of the instance's settings.
insert into sandbox.phones as p (instance_id, phone, state, secret, epoch, holder)
values (
    %(instance_id)s::text, %(phone)s::text, %(state)s::text, %(secret)s::text, %(epoch)s::bigint,
    %(holder)s::text
)
on conflict (instance_id) do update
set epoch = excluded.epoch,
    holder = excluded.holder,
    state = case when p.epoch = 0 and p.state = 'unpaired' then excluded.state else p.state end
where p.epoch <= excluded.epoch
returning p.phone, p.state, p.version, p.secret;

-- name: add_phone
insert into sandbox.phones (instance_id, phone, state, secret)
values (%(instance_id)s::text, %(phone)s::text, 'unpaired', %(secret)s::text)
on conflict (instance_id) do nothing;

-- name: find_phone
select phone, state, typing_to, typing_until, jsonb_array_length(faults) as faults
from sandbox.phones
where instance_id = %(instance_id)s::text;

-- name: accept_message
-- Does everything that a send does to the world. The lock on the phone orders a send against control
-- and against a send of a newer epoch; the fault is read from the locked row, so two sends cannot
-- consume the same one.
with phone as materialized (
    -- Locks the phone and reads its first fault.
    select p.instance_id, p.phone, p.state, p.epoch > %(epoch)s::bigint as outdated,
        case when %(with_faults)s::boolean then p.faults -> 0 end as fault
    from sandbox.phones p
    where p.instance_id = %(instance_id)s::text
    for no key update
), target_group as materialized (
    -- Selects the group that the message goes to, if it goes to one.
    select g.body
    from sandbox.entities g
    where g.kind = 'group' and g.id = %(phone)s::text
), refusal as materialized (
    -- Returns why the group does not accept the message; a null reason if it does.
    select case
            when not r.body -> 'members' ? p.phone then 'This number is not in the group'
            when (r.body ->> 'admin_only_message')::boolean
                and r.body -> 'members' ->> p.phone = 'member' then 'Only admins may write here'
        end as reason
    from target_group r
    cross join phone p
), ready as materialized (
    -- Selects the phone if it may send; `cut` is true if the fault ends its connection first.
    select instance_id, phone, fault,
        coalesce(fault ->> 'fault' = 'disconnect_before_send', false) as cut
    from phone
    where state = 'connected' and not outdated
        and not exists (select from refusal where reason is not null)
), faulted as (
    -- Consumes the fault.
    update sandbox.phones p
    set faults = p.faults - 0,
        state = case when r.cut then 'disconnected' else p.state end,
        version = p.version + r.cut::int
    from ready r
    where p.instance_id = r.instance_id and r.fault is not null
    returning p.instance_id, p.phone, p.state, p.version, r.cut
), emitted as (
    -- Emits an event for the lost connection.
    insert into sandbox.events (instance_id, due_at, body)
    select instance_id, clock_timestamp(), jsonb_build_object(
        'kind', 'connection', 'state', state, 'phone', phone, 'version', version
    )
    from faulted
    where cut
), journalled as (
    -- Writes the message into the journal and counts how often it was sent.
    insert into sandbox.sent as s (instance_id, message_id, type, phone, payload)
    select instance_id, %(message_id)s::text, %(type)s::text, %(phone)s::text, %(payload)s::jsonb
    from ready
    where fault is null or fault ->> 'fault' = 'crash_after_accept'
    on conflict (instance_id, message_id) do update set seen = s.seen + 1
    returning s.instance_id, s.message_id, s.phone, s.seen
), receipts as (
    -- Schedules the receipts of a message that is sent for the first time.
    insert into sandbox.events (instance_id, due_at, body)
    select j.instance_id, clock_timestamp() + make_interval(secs => r.after_seconds),
        jsonb_build_object(
            'kind', 'receipt', 'messageId', j.message_id, 'chat', j.phone, 'status', r.status
        )
    from journalled j
    cross join unnest(
        %(receipt_statuses)s::text[], %(receipt_seconds)s::double precision[]
    ) as r (status, after_seconds)
    where j.seen = 1
), answered as (
    -- Schedules the automatic answer.
    insert into sandbox.events (instance_id, due_at, body)
    select instance_id, clock_timestamp() + make_interval(secs => %(answer_seconds)s::double precision),
        %(answer)s::jsonb
    from journalled
    where seen = 1 and %(answer)s::jsonb is not null
), marked as (
    -- Changes the marks of the message that this one acts on.
    insert into sandbox.marks as k (instance_id, message_id, marks)
    select instance_id, %(marked_id)s::text, sandbox.merge_marks_v1('{}', %(marks)s::jsonb)
    from journalled
    where %(marked_id)s::text is not null
    on conflict (instance_id, message_id) do update set marks = sandbox.merge_marks_v1(k.marks, %(marks)s::jsonb)
), readers as (
    -- Selects the numbers that the message goes to.
    select j.phone from journalled j where j.seen = 1
    union all
    select jsonb_object_keys(r.body -> 'members') from target_group r, journalled j where j.seen = 1
), received as (
    -- Emits the message to the instances of those numbers that did not block the sender.
    insert into sandbox.events (instance_id, due_at, body)
    select o.instance_id, clock_timestamp(), jsonb_set(
        %(remote_message)s::jsonb, '{event}', %(remote_message)s::jsonb -> 'event' || jsonb_build_object(
            'sender', r.phone,
            'chat', case when exists (select from target_group) then %(phone)s::text else r.phone end
        )
    )
    from readers d
    cross join ready r
    join sandbox.phones o on o.phone = d.phone and o.phone <> r.phone
    where o.state in ('connected', 'disconnected')
        and not exists (
            select from sandbox.entities a
            where a.instance_id = o.instance_id and a.kind = 'account'
                and a.body -> 'blocked' ? r.phone
        )
    returning instance_id
)
select p.state, p.outdated, p.fault, j.seen, (select reason from refusal) as refusal,
       array(select instance_id from received) as reached
from phone p
left join journalled j on j.instance_id = p.instance_id;

-- name: mark_message
with phone as materialized (
    -- Locks the phone, if it is connected and this lease is the newest.
    select instance_id from sandbox.phones
    where instance_id = %(instance_id)s::text
        and state = 'connected'
        and epoch <= %(epoch)s::bigint
    for no key update
)
insert into sandbox.marks as k (instance_id, message_id, marks)
select instance_id, %(message_id)s::text, sandbox.merge_marks_v1('{}', %(marks)s::jsonb) from phone
on conflict (instance_id, message_id) do update set marks = sandbox.merge_marks_v1(k.marks, %(marks)s::jsonb)
returning instance_id;

-- name: list_marks
select message_id, marks from sandbox.marks
where instance_id = %(instance_id)s::text
order by message_id
limit %(max_count)s::int;

-- name: show_typing
update sandbox.phones
set typing_to = %(phone)s::text,
    typing_until = clock_timestamp() + make_interval(secs => %(seconds)s::double precision)
where instance_id = %(instance_id)s::text
    and state = 'connected'
    and epoch <= %(epoch)s::bigint
returning instance_id;

-- name: due_events
-- Returns the events that are due for the sessions of one engine and, as a row without a body, in how
-- many seconds the next one is due. A phone that is not connected gets only connection events.
with own as not materialized (
    -- Selects the events of the phones that this engine opened.
    select e.instance_id, e.id, e.due_at, e.body, e.body ->> 'kind' <> 'connection' as later
    from sandbox.events e
    join sandbox.phones p on p.instance_id = e.instance_id
    where p.holder = %(holder)s::text
        and p.instance_id <> all(%(skipped)s::text[])
        and (p.state = 'connected' or e.body ->> 'kind' = 'connection')
), due as (
    -- Selects those that are due and not in flight.
    select instance_id, id, due_at, body, later
    from own
    where due_at <= now() and id not in (select unnest(%(in_flight)s::bigint[]))
    order by due_at, id
    limit %(max_count)s::int
), next as (
    -- Selects when the next one is due.
    select due_at from own where due_at > now() order by due_at limit 1
)
select instance_id, id, due_at, body, 0 as seconds, later from due
union all
select null, null, due_at, null, extract(epoch from due_at - now())::double precision, true from next
order by later, due_at, id;

-- name: delete_events
delete from sandbox.events
where instance_id = %(instance_id)s::text and id = any(%(ids)s::bigint[]);

-- name: delete_expired_messages
-- Deletes messages from the journal, with their marks.
with old as materialized (
    -- Selects the messages that are past their retention.
    select instance_id, message_id from sandbox.sent
    where at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
), marked as (
    -- Deletes their marks.
    delete from sandbox.marks k using old o
    where k.instance_id = o.instance_id and k.message_id = o.message_id
)
delete from sandbox.sent s using old o
where s.instance_id = o.instance_id and s.message_id = o.message_id
returning s.instance_id;

-- name: delete_expired_marks
-- Deletes marks of messages that others sent.
delete from sandbox.marks
where ctid = any(array(
    select ctid from sandbox.marks
    where at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning instance_id;

-- name: delete_expired_events
-- Deletes events of phones that stay disconnected.
delete from sandbox.events
where ctid = any(array(
    select ctid from sandbox.events
    where due_at < now() - make_interval(days => %(days)s::int)
    limit %(max_count)s::int
))
returning instance_id;

-- name: change_phone
-- Changes a phone. If that makes a difference, the phone gets a new version and emits an event.
with before as materialized (
    -- Locks the phone and checks whether its state allows the change.
    select p.instance_id, p.phone, p.state, p.state = any(%(allowed)s::text[]) as allowed
    from sandbox.phones p
    where p.instance_id = %(instance_id)s::text
    for no key update
), changed as (
    -- Changes the phone if that makes a difference.
    update sandbox.phones p
    set state = %(state)s::text,
        phone = coalesce(%(phone)s::text, p.phone),
        version = p.version + 1
    from before b
    where p.instance_id = b.instance_id
        and b.allowed
        and (b.state <> %(state)s::text or b.phone <> coalesce(%(phone)s::text, b.phone))
    returning p.instance_id, p.phone, p.state, p.version
), emitted as (
    -- Emits an event for the change.
    insert into sandbox.events (instance_id, due_at, body)
    select instance_id, clock_timestamp(), jsonb_build_object(
        'kind', 'connection', 'state', state, 'phone', phone, 'version', version
    )
    from changed
)
select b.allowed, coalesce(c.state, b.state) as state, coalesce(c.phone, b.phone) as phone
from before b
left join changed c on c.instance_id = b.instance_id;

-- name: receive_message
-- Emits an event to a phone. A disconnected phone gets it when it is connected again; a phone that is
-- not linked never gets it.
with phone as materialized (
    -- Locks the phone and checks whether it is linked.
    select p.instance_id, p.state in ('connected', 'disconnected') as linked
    from sandbox.phones p
    where p.instance_id = %(instance_id)s::text
    for no key update
), received as (
    -- Stores the event.
    insert into sandbox.events (instance_id, due_at, body)
    select instance_id, clock_timestamp(), %(body)s::jsonb from phone where linked
)
select linked from phone;

-- name: set_faults
update sandbox.phones set faults = %(faults)s::jsonb
where instance_id = %(instance_id)s::text
returning instance_id;

-- name: list_sent
select s.number, s.message_id, s.seen, s.type, s.phone, s.payload, s.at, k.marks
from sandbox.sent s
left join sandbox.marks k on k.instance_id = s.instance_id and k.message_id = s.message_id
where s.instance_id = %(instance_id)s::text and s.number > %(after)s::bigint
order by s.number
limit %(max_count)s::int;

-- name: find_entity
-- Returns the entity that the given instance owns; without an instance, any with this id.
select instance_id, id, version, body
from sandbox.entities
where kind = %(kind)s::text and id = %(id)s::text
    and (%(instance_id)s::text is null or instance_id = %(instance_id)s::text)
limit 1;

-- name: find_invited
select instance_id, id, version, body
from sandbox.entities
where kind = %(kind)s::text and body ->> 'invite' = %(invite)s::text;

-- name: list_own_entities
select instance_id, id, version, body
from sandbox.entities
where instance_id = %(instance_id)s::text and kind = %(kind)s::text and id > %(after)s::text
order by id
limit %(max_count)s::int;

-- name: list_joined_entities
select instance_id, id, version, body
from sandbox.entities
where kind = %(kind)s::text and body -> 'members' ? %(phone)s::text
order by id;

-- name: list_linked
select instance_id, id, version, body
from sandbox.entities
where kind = %(kind)s::text and body ->> 'community' = %(community)s::text
order by id;

-- name: search_entities
select instance_id, id, version, body
from sandbox.entities
where kind = %(kind)s::text and strpos(lower(body ->> 'name'), lower(%(text)s::text)) > 0
order by id
limit %(max_count)s::int;

-- name: write_entity
-- Creates an entity at version 0, or changes it if it still has the given version. Emits the events
-- to the phones of the given numbers if the entity was written.
with written as (
    -- Creates the entity.
    insert into sandbox.entities as e (instance_id, kind, id, body)
    select %(instance_id)s::text, %(kind)s::text, %(id)s::text, %(body)s::jsonb
    where %(version)s::bigint = 0
    on conflict (instance_id, kind, id) do nothing
    returning e.id
), changed as (
    -- Changes the entity, if its version is the expected one.
    update sandbox.entities e
    set body = %(body)s::jsonb, version = e.version + 1
    where e.instance_id = %(instance_id)s::text and e.kind = %(kind)s::text
        and e.id = %(id)s::text and e.version = %(version)s::bigint
    returning e.id
), done as (
    -- Selects the id if either wrote.
    select id from written union all select id from changed
), emitted as (
    -- Emits the events to the phones of the given numbers.
    insert into sandbox.events (instance_id, due_at, body)
    select p.instance_id, clock_timestamp(), t.body
    from done
    cross join unnest(%(event_phones)s::text[], %(event_bodies)s::jsonb[])
        with ordinality as t (phone, body, turn)
    join sandbox.phones p on p.phone = t.phone and p.state in ('connected', 'disconnected')
    order by t.turn
    returning instance_id
)
select d.id, array(select distinct t.instance_id from emitted t) as signalled from done d;

-- name: remove_entities
delete from sandbox.entities
where instance_id = %(instance_id)s::text and kind = %(kind)s::text and id = any(%(ids)s::text[])
returning id;

-- name: find_number
select instance_id from sandbox.phones where phone = %(phone)s::text order by instance_id limit 1;

-- name: find_linked
select phone from sandbox.phones where phone = any(%(phones)s::text[]);

-- name: mark_read
-- Emits a read receipt to the instance that sent these messages to this number or to a group.
insert into sandbox.events (instance_id, due_at, body)
select s.instance_id, clock_timestamp(), jsonb_build_object(
    'kind', 'receipt', 'messageId', s.message_id, 'chat', s.phone, 'status', 'read'
)
from sandbox.phones o
join sandbox.sent s on s.instance_id = o.instance_id and s.message_id = any(%(message_ids)s::text[])
where o.phone = %(writer)s::text
returning instance_id;

-- name: delete_instance
-- At most `max_count` rows of each table.
with deleted_entities as (
    -- Deletes rows of `entities`.
    delete from sandbox.entities
    where ctid = any(array(
        select ctid from sandbox.entities where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_events as (
    -- Deletes rows of `events`.
    delete from sandbox.events
    where ctid = any(array(
        select ctid from sandbox.events where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_marks as (
    -- Deletes rows of `marks`.
    delete from sandbox.marks
    where ctid = any(array(
        select ctid from sandbox.marks where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_sent as (
    -- Deletes rows of `sent`.
    delete from sandbox.sent
    where ctid = any(array(
        select ctid from sandbox.sent where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
), deleted_phones as (
    -- Deletes rows of `phones`.
    delete from sandbox.phones
    where ctid = any(array(
        select ctid from sandbox.phones where instance_id = %(instance_id)s::text
        limit %(max_count)s::int
    ))
    returning 1
)
select (select count(*) from deleted_entities)
    + (select count(*) from deleted_events)
    + (select count(*) from deleted_marks)
    + (select count(*) from deleted_sent)
    + (select count(*) from deleted_phones) as deleted;

-- name: erase_person
-- Simulated contacts stay: they belong to the simulated WhatsApp, as real ones do to the real one.
with deleted_sent as (
    -- Deletes the messages to the person.
    delete from sandbox.sent
    where instance_id = %(instance_id)s::text and phone = any(%(addresses)s::text[])
    returning message_id
), deleted_marks as (
    -- Deletes what became of the messages to and from the person.
    delete from sandbox.marks
    where instance_id = %(instance_id)s::text
        and (
            message_id = any(%(message_ids)s::text[])
            or message_id in (select message_id from deleted_sent)
        )
    returning 1
), deleted_events as (
    -- Deletes events of the person's chat or by the person; one in use by the engine ends by itself.
    delete from sandbox.events
    where id = any(array(
        select id from sandbox.events
        where instance_id = %(instance_id)s::text
            and array[body ->> 'chat', body #>> '{event,chat}', body #>> '{event,sender}']
                && %(addresses)s::text[]
        for update skip locked
    ))
    returning 1
)
select (select count(*) from deleted_sent) + (select count(*) from deleted_marks)
    + (select count(*) from deleted_events) as erased;
