-- name: take_seat
-- No row comes back to whoever holds an older lease. A phone that control touched before its first
-- opening (epoch 0) still starts as the instance's settings wish.
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
-- Everything a send does to the world. The lock orders it against control and against a send of a
-- newer epoch; the fault comes from the row as locked, so none is consumed twice.
with phone as materialized (
    select p.instance_id, p.state, p.epoch > %(epoch)s::bigint as outdated,
        case when %(with_faults)s::boolean then p.faults -> 0 end as fault
    from sandbox.phones p
    where p.instance_id = %(instance_id)s::text
    for no key update
), ready as materialized (
    select instance_id, fault, coalesce(fault ->> 'fault' = 'disconnect_before_send', false) as cut
    from phone
    where state = 'connected' and not outdated
), struck as (
    update sandbox.phones p
    set faults = p.faults - 0,
        state = case when r.cut then 'disconnected' else p.state end,
        version = p.version + r.cut::int
    from ready r
    where p.instance_id = r.instance_id and r.fault is not null
    returning p.instance_id, p.phone, p.state, p.version, r.cut
), told as (
    insert into sandbox.events (instance_id, due_at, body)
    select instance_id, clock_timestamp(), jsonb_build_object(
        'kind', 'connection', 'state', state, 'phone', phone, 'version', version
    )
    from struck
    where cut
), journalled as (
    insert into sandbox.sent as s (instance_id, message_id, type, phone, payload)
    select instance_id, %(message_id)s::text, %(type)s::text, %(phone)s::text, %(payload)s::jsonb
    from ready
    where fault is null or fault ->> 'fault' = 'crash_after_accept'
    on conflict (instance_id, message_id) do update set seen = s.seen + 1
    returning s.instance_id, s.message_id, s.phone, s.seen
), receipts as (
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
    insert into sandbox.events (instance_id, due_at, body)
    select instance_id, clock_timestamp() + make_interval(secs => %(answer_seconds)s::double precision),
        %(answer)s::jsonb
    from journalled
    where seen = 1 and %(answer)s::jsonb is not null
), marked as (
    insert into sandbox.marks as k (instance_id, message_id, marks)
    select instance_id, %(marked_id)s::text, sandbox.merged('{}', %(marks)s::jsonb)
    from journalled
    where %(marked_id)s::text is not null
    on conflict (instance_id, message_id) do update set marks = sandbox.merged(k.marks, %(marks)s::jsonb)
)
select p.state, p.outdated, p.fault, j.seen
from phone p
left join journalled j on j.instance_id = p.instance_id;

-- name: mark_message
with phone as materialized (
    select instance_id from sandbox.phones
    where instance_id = %(instance_id)s::text
        and state = 'connected'
        and epoch <= %(epoch)s::bigint
    for no key update
)
insert into sandbox.marks as k (instance_id, message_id, marks)
select instance_id, %(message_id)s::text, sandbox.merged('{}', %(marks)s::jsonb) from phone
on conflict (instance_id, message_id) do update set marks = sandbox.merged(k.marks, %(marks)s::jsonb)
returning instance_id;

-- name: list_marks
select message_id, marks from sandbox.marks
where instance_id = %(instance_id)s::text
order by message_id
limit %(most)s::int;

-- name: show_typing
update sandbox.phones
set typing_to = %(phone)s::text,
    typing_until = clock_timestamp() + make_interval(secs => %(seconds)s::double precision)
where instance_id = %(instance_id)s::text
    and state = 'connected'
    and epoch <= %(epoch)s::bigint
returning instance_id;

-- name: due_events
-- What is due for all sessions open in one engine, and, as a row without a body, in how many
-- seconds the next will be. A phone out of reach tells nothing but that.
with mine as not materialized (
    select e.instance_id, e.id, e.due_at, e.body, e.body ->> 'kind' <> 'connection' as later
    from sandbox.events e
    join sandbox.phones p on p.instance_id = e.instance_id
    where p.holder = %(holder)s::text
        and p.instance_id <> all(%(passed_over)s::text[])
        and (p.state = 'connected' or e.body ->> 'kind' = 'connection')
), due as (
    select instance_id, id, due_at, body, later
    from mine
    where due_at <= now() and id not in (select unnest(%(in_hand)s::bigint[]))
    order by due_at, id
    limit %(most)s::int
), next as (
    select due_at from mine where due_at > now() order by due_at limit 1
)
select instance_id, id, due_at, body, 0 as seconds, later from due
union all
select null, null, due_at, null, extract(epoch from due_at - now())::double precision, true from next
order by later, due_at, id;

-- name: forget_events
delete from sandbox.events
where instance_id = %(instance_id)s::text and id = any(%(ids)s::bigint[]);

-- name: change_phone
-- Only what truly changes gets a new version, and an event that tells it.
with before as materialized (
    select p.instance_id, p.phone, p.state, p.state = any(%(allowed)s::text[]) as allowed
    from sandbox.phones p
    where p.instance_id = %(instance_id)s::text
    for no key update
), changed as (
    update sandbox.phones p
    set state = %(state)s::text,
        phone = coalesce(%(phone)s::text, p.phone),
        version = p.version + 1
    from before b
    where p.instance_id = b.instance_id
        and b.allowed
        and (b.state <> %(state)s::text or b.phone <> coalesce(%(phone)s::text, b.phone))
    returning p.instance_id, p.phone, p.state, p.version
), told as (
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
-- A phone out of reach gets it when it is back; one that is not linked never does.
with phone as materialized (
    select p.instance_id, p.state in ('connected', 'disconnected') as linked
    from sandbox.phones p
    where p.instance_id = %(instance_id)s::text
    for no key update
), arrived as (
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
limit %(most)s::int;
