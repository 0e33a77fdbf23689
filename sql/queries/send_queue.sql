-- Aliases: a parked or following message (in release_known: withheld message of the same chat), b message behind
-- a parked one, c chosen message (in record_sent: connection; in arrange, chats_behind and release_known: chat), d sent message (in arrange: due message), e lease (in
-- find_unowned_queues and free_unowned_queue: node; in release_known: queue), f free message, h head of a queue or lane, i id of a
-- message (in free_unowned_queue: instance), k idempotency key (in store_offset: offset of a topic),
-- l lease, m queued message (in state_of_message: message of history), n queue of
-- an instance, o expired message, p message in flight (in record_sent: identity), q queued message,
-- r removed message (in start_attempts: ready message), s started message (in find_progress: state),
-- t delivery queue to lock, v picture of a chat, w waiting worker (in record_sent: delivery queue of a chat; in
-- find_progress: wanted message), y own identity, z own picture.

-- name: enqueue
-- Returns the admission result of each request, except those whose queue another transaction has
-- locked.
select * from enqueue_messages_v2(
    %(flush_id)s::uuid, %(node_id)s::text, %(ordinals)s::int[], %(instance_ids)s::text[], %(zaap_ids)s::text[],
    %(message_ids)s::text[], %(types)s::text[], %(versions)s::smallint[], %(phones)s::text[],
    %(payloads)s::jsonb[], %(priorities)s::smallint[], %(due_ats)s::timestamptz[],
    %(expires_ats)s::timestamptz[], %(expires_ins)s::double precision[],
    %(refuse_disconnected)s::boolean[], %(idempotency_keys)s::text[], %(body_hashes)s::bytea[],
    %(max_waiting)s::int, %(max_waiting_disconnected)s::int, %(max_attempts)s::smallint,
    %(max_age_seconds)s::double precision
);

-- name: abandon_flush
-- Makes a flush write nothing if its statement arrives later.
insert into abandoned_flushes (id) values (%(flush_id)s::uuid) on conflict (id) do nothing;

-- name: lock_queues
-- Run after abandon_flush: the locks wait for the transaction of that flush, if there is one.
with locked as materialized (
    -- Locks the queues.
    select instance_id
    from instance_lines
    where instance_id = any(%(instance_ids)s::text[])
    order by instance_id
    for no key update
)
select count(*) from locked;

-- name: find_queues
select instance_id as id from instance_lines where instance_id = any(%(instance_ids)s::text[]);

-- name: find_message_ids
select message_id as id from message_queue
where instance_id = any(%(instance_ids)s::text[]) and message_id = any(%(message_ids)s::text[])
union all
select message_id from message_ids
where instance_id = any(%(instance_ids)s::text[]) and message_id = any(%(message_ids)s::text[]);

-- name: claim
-- Returns for each waiting worker the head of its queue, or nothing. The head is chosen without a lock
-- and locked afterwards. If another transaction has locked it, the worker gets no row, and never the
-- next row.
-- A head that has expired comes too, also before it is due, so that no caller waits for it. Its
-- `is_expired` is true: the worker records that it failed, and never starts it.
-- A worker claims only while it owns no row. So a row that one of its earlier claims took, and whose
-- attempt has not started, is one whose answer was lost. The worker gets it again. The statement
-- finds it by the id of its claim, or after a minute by the epoch alone, because the worker that knew
-- the id may be gone. `start_attempts` checks the id, so the earlier claim can no longer start the row.
with waiting as (
    -- The workers that wait, with the position from which each lane is read.
    select *
    from unnest(
        %(instance_ids)s::text[], %(epochs)s::bigint[], %(claim_ids)s::uuid[], %(reordered)s::bigint[],
        %(first)s::smallint[], %(second)s::smallint[], %(third)s::smallint[],
        %(from_high)s::bigint[], %(from_normal)s::bigint[], %(from_bulk)s::bigint[]
    ) as w (
        instance_id, epoch, claim_id, reordered, first, second, third, from_high, from_normal, from_bulk
    )
), unanswered as materialized (
    -- Locks the rows that earlier claims of these workers took and that have not started.
    select m.instance_id, m.id, w.epoch, w.claim_id, n.reordered
    from waiting w
    join instance_leases l on l.instance_id = w.instance_id and l.epoch = w.epoch
    join instance_lines n on n.instance_id = w.instance_id
    cross join lateral (
        select p.ctid as tid from message_queue p
        where p.instance_id = w.instance_id and p.status = 'processing'
        offset 0
    ) place
    join message_queue m on m.ctid = place.tid
    -- Only rows whose status is `processing` have an epoch. A condition on `status` as well would make
    -- the planner consider the index of all such rows.
    where m.claimed_epoch = w.epoch and m.attempt_started_at is null
        and (
            m.claim_id = w.claim_id
            or m.claim_id = any(%(earlier_claim_ids)s::uuid[])
            or m.claimed_at < now() - interval '1 minute'
        )
    for update of l, m skip locked
), head as materialized (
    -- Locks the lease and the first due message of each queue that may move.
    select m.instance_id, m.id, w.epoch, w.claim_id, n.reordered
    from waiting w
    join instance_leases l on l.instance_id = w.instance_id and l.epoch = w.epoch
    join instance_lines n
        on n.instance_id = w.instance_id and n.connected and not n.paused
        and (n.hold_until is null or n.hold_until <= now())
    cross join lateral (
        select q.tid
        from (
            values (w.first, 1), (w.second, 2), (w.third, 3)
        ) as lane (priority, turn)
        cross join lateral (
            select h.ctid as tid, least(h.due_at, h.expires_at) as due_at
            from message_queue h
            where h.instance_id = w.instance_id and h.status = 'pending' and h.priority = lane.priority
                and h.position >= case
                    when n.reordered <> w.reordered then %(first_position)s::bigint
                    when lane.priority = 0 then w.from_high
                    when lane.priority = 1 then w.from_normal
                    else w.from_bulk
                end
            order by h.position
            limit 1
        ) q
        where q.due_at <= now()
        order by lane.turn
        limit 1
    ) top
    -- By ctid, so that no plan can walk along the queue instead.
    join message_queue m on m.ctid = top.tid and m.instance_id = w.instance_id
    where m.status = 'pending' and least(m.due_at, m.expires_at) <= now()
        -- A subquery for each queue: the planner's statistics know few such rows and favour a join.
        and (
            select p.id from message_queue p
            where p.instance_id = w.instance_id and p.status = 'processing'
        ) is null
        -- Nothing passes a parked message of its own chat, nor one of its lane behind it. Sorted as the
        -- indexes are: where many rows are behind, the planner would favour a scan of the table.
        and (
            select a.id from message_queue a
            where a.instance_id = w.instance_id and a.status = 'parked'
                and (
                    a.phone = m.phone
                    or queue_chat_v1(a.instance_id, a.phone) = queue_chat_v1(m.instance_id, m.phone)
                )
            order by a.phone, a.id
            limit 1
        ) is null
        -- One index lookup for each name of the chat, where any message is behind.
        and (
            (
                select f.id from message_queue f
                where f.instance_id = w.instance_id and f.status = 'behind'
                order by f.phone
                limit 1
            ) is null
            or coalesce((
                select min(b.position)
                from unnest(queue_names_v1(m.instance_id, m.phone)) as c (name)
                cross join lateral (
                    select f.position from message_queue f
                    where f.instance_id = w.instance_id and f.phone = c.name and f.priority = m.priority
                        and f.status = 'behind'
                    order by f.position
                    limit 1
                ) b
            ), m.position) >= m.position
        )
        -- The worker withholds first contacts before it claims, while WhatsApp does not allow them.
        and (
            n.first_contacts_until is null
            or not is_withheld_v1(m.instance_id, m.phone, n.first_contacts_until)
        )
    for update of l, m skip locked
)
update message_queue m
set status = 'processing', claimed_epoch = h.epoch, claim_id = h.claim_id, claimed_at = now()
from (select * from unanswered union all select * from head) h
where m.instance_id = h.instance_id and m.id = h.id
returning m.instance_id, m.id, m.zaap_id, m.message_id, m.type, m.version, m.phone, m.payload,
          m.priority, m.position, m.attempts, m.max_attempts, m.created_at, m.claimed_epoch, m.claim_id,
          coalesce(m.expires_at <= now(), false) as is_expired, h.reordered, m.deferrals,
          known_chat_v1(m.instance_id, m.phone) as known_chat;

-- name: arrange
-- Keeps a queue with parked messages in order, before a claim. A message that is parked, because it
-- waits for its file or its next attempt, lets other chats pass. In its own chat nothing passes it:
-- what would be next becomes `behind`. So the front of each lane is a message that may leave, and a
-- claim needs not walk along those that may not. Every step is bounded: the heads of the lanes, a run
-- of messages behind a blocked head, and one message per chat and lane that may leave again. A
-- message becomes `behind` about once in its life.
-- Returns for each queue that may move how many messages changed, and whether any are parked or behind.
with worker as materialized (
    -- Locks the leases of the queues that may move; the position from which each lane is read.
    select w.instance_id, w.all_files, w.from_high, w.from_normal, w.from_bulk,
           n.reordered <> w.reordered as from_the_front,
           coalesce(n.queue_order, %(default_order)s::text) = 'chat' as in_chat_order
    from unnest(
        %(instance_ids)s::text[], %(epochs)s::bigint[], %(all_files)s::boolean[], %(reordered)s::bigint[],
        %(from_high)s::bigint[], %(from_normal)s::bigint[], %(from_bulk)s::bigint[]
    ) as w (instance_id, epoch, all_files, reordered, from_high, from_normal, from_bulk)
    join instance_leases l on l.instance_id = w.instance_id and l.epoch = w.epoch
    join instance_lines n
        on n.instance_id = w.instance_id and n.connected and not n.paused
        and (n.hold_until is null or n.hold_until <= now())
    for update of l skip locked
), parked as materialized (
    -- The parked messages with their chats, which people may name in several ways; `due` says that one
    -- no longer waits.
    select a.instance_id, a.id, queue_chat_v1(a.instance_id, a.phone) as chat,
           not w.in_chat_order or least(a.due_at, a.expires_at) <= now()
           or a.parked_for = 'file' and (w.all_files or a.id = any(%(ready_ids)s::bigint[])) as due
    from worker w
    cross join lateral (
        select * from message_queue p
        where p.instance_id = w.instance_id and p.status = 'parked'
        offset 0
    ) a
), lane_head as materialized (
    -- The first message of each lane; `blocked` says that one of its chat is parked.
    select w.instance_id, lane.priority, h.id, h.position, h.rests,
           exists (
               select from parked a
               where a.instance_id = w.instance_id and not a.due
                   and a.chat = queue_chat_v1(w.instance_id, h.phone)
           ) as blocked
    from worker w
    cross join (values (0), (1), (2)) as lane (priority)
    cross join lateral (
        select q.id, q.phone, q.position,
               (q.attempts > 0 or q.deferrals > 0) and least(q.due_at, q.expires_at) > now() as rests
        from message_queue q
        where q.instance_id = w.instance_id and q.status = 'pending' and q.priority = lane.priority
            and q.position >= case
                when w.from_the_front then %(first_position)s::bigint
                when lane.priority = 0 then w.from_high
                when lane.priority = 1 then w.from_normal
                else w.from_bulk
            end
        order by q.position
        limit 1
    ) h
    where w.in_chat_order
), resting as (
    -- Heads that wait for their next attempt, as many as may be parked.
    select r.instance_id, r.id
    from (
        select h.instance_id, h.id, row_number() over (partition by h.instance_id order by h.priority) as nth
        from lane_head h
        where h.rests and not h.blocked
    ) r
    where r.nth + (select count(*) from parked a where a.instance_id = r.instance_id and not a.due)
        <= %(max_parked)s::int
), following as (
    -- From each blocked head on: the next messages of chats with a parked message.
    select q.instance_id, q.id
    from lane_head h
    cross join lateral (
        select m.instance_id, m.id, m.phone
        from message_queue m
        where m.instance_id = h.instance_id and m.status = 'pending' and m.priority = h.priority
            and m.position >= h.position
        order by m.position
        limit %(max_run)s::int
    ) q
    where h.blocked
        and exists (
            select from parked a
            where a.instance_id = q.instance_id and not a.due
                and a.chat = queue_chat_v1(q.instance_id, q.phone)
        )
), chat_behind as materialized (
    -- The names of chats with messages behind; each is found by one index lookup.
    select w.instance_id, c.phone, queue_chat_v1(w.instance_id, c.phone) as chat,
           w.in_chat_order
    from worker w
    cross join lateral (
        with recursive chat as (
            -- The first chat, then the one after it.
            (
                select b.phone from message_queue b
                where b.instance_id = w.instance_id and b.status = 'behind'
                order by b.phone
                limit 1
            )
            union all
            select (
                select b.phone from message_queue b
                where b.instance_id = w.instance_id and b.status = 'behind' and b.phone > c.phone
                order by b.phone
                limit 1
            )
            from chat c
            where c.phone is not null
        )
        select c.phone from chat c where c.phone is not null
    ) c
), freed as (
    -- The next message of each lane of the chats in which none is parked; all of them in strict order.
    (
        select distinct on (c.instance_id, c.chat, lane.priority) c.instance_id, q.id
        from chat_behind c
        cross join (values (0), (1), (2)) as lane (priority)
        cross join lateral (
            select b.id, b.position from message_queue b
            where b.instance_id = c.instance_id and b.phone = c.phone and b.priority = lane.priority
                and b.status = 'behind'
            order by b.position
            limit 1
        ) q
        where c.in_chat_order
            and not exists (
                select from parked a where a.instance_id = c.instance_id and a.chat = c.chat
            )
        order by c.instance_id, c.chat, lane.priority, q.position
    )
    union all
    select c.instance_id, b.id
    from chat_behind c
    join message_queue b
        on b.instance_id = c.instance_id and b.phone = c.phone and b.status = 'behind'
    where not c.in_chat_order
), wanted as (
    -- The new state of each message.
    select instance_id, id, 'pending' as status, null as parked_for from parked where due
    union all
    select instance_id, id, 'parked', 'retry' from resting
    union all
    select instance_id, id, 'behind', null from following
    union all
    select instance_id, id, 'pending', null from freed
), locked as materialized (
    -- Locks the messages; one that a caller is changing stays as it is.
    select m.instance_id, m.id, w.status, w.parked_for
    from wanted w
    join message_queue m on m.instance_id = w.instance_id and m.id = w.id
    where m.status in ('pending', 'parked', 'behind')
    for update of m skip locked
), changed as (
    -- Changes them; a message whose file was awaited is due now.
    update message_queue m
    set status = c.status, parked_for = c.parked_for, updated_at = now(),
        due_at = case when m.parked_for = 'file' then now() else m.due_at end
    from locked c
    where m.instance_id = c.instance_id and m.id = c.id
    returning m.instance_id, m.status
), queue as materialized (
    -- Locks the queues to which messages came back.
    select n.instance_id
    from instance_lines n
    where n.instance_id in (select instance_id from changed where status = 'pending')
    order by n.instance_id
    for no key update
), reordered_queue as (
    -- Makes the claimer read those queues from the front again.
    update instance_lines n set reordered = n.reordered + 1
    from queue
    where n.instance_id = queue.instance_id
)
select w.instance_id,
       (select count(*) from changed c where c.instance_id = w.instance_id) as moved,
       exists (select from parked a where a.instance_id = w.instance_id)
       or exists (select from chat_behind b where b.instance_id = w.instance_id)
       or exists (
           select from changed c where c.instance_id = w.instance_id and c.status <> 'pending'
       ) as has_parked
from worker w;

-- name: withhold_first_contacts
-- Takes messages that begin a conversation out of the lanes while WhatsApp lets the number write to known
-- chats only, and later messages of the same chats with them. They are `scheduled` for the end of that
-- time, and keep their place. A run at a time, and only from a head that may not leave. Returns for each
-- queue how many it took, and whether the rule holds.
with worker as materialized (
    -- Locks the leases; the position from which each lane is read.
    select w.instance_id, w.from_high, w.from_normal, w.from_bulk, n.reordered <> w.reordered as from_the_front,
           n.first_contacts_until as until
    from unnest(
        %(instance_ids)s::text[], %(epochs)s::bigint[], %(reordered)s::bigint[],
        %(from_high)s::bigint[], %(from_normal)s::bigint[], %(from_bulk)s::bigint[]
    ) as w (instance_id, epoch, reordered, from_high, from_normal, from_bulk)
    join instance_leases l on l.instance_id = w.instance_id and l.epoch = w.epoch
    join instance_lines n on n.instance_id = w.instance_id
    for update of l skip locked
), lane_head as materialized (
    -- The first message of each lane, if it may not leave.
    select w.instance_id, w.until, lane.priority, h.position
    from worker w
    cross join (values (0), (1), (2)) as lane (priority)
    cross join lateral (
        select q.phone, q.position
        from message_queue q
        where q.instance_id = w.instance_id and q.status = 'pending' and q.priority = lane.priority
            and q.position >= case
                when w.from_the_front then %(first_position)s::bigint
                when lane.priority = 0 then w.from_high
                when lane.priority = 1 then w.from_normal
                else w.from_bulk
            end
        order by q.position
        limit 1
    ) h
    where w.until is not null and is_withheld_v1(w.instance_id, h.phone, w.until)
), withheld as (
    -- From each such head on: the next messages that may not leave either.
    select q.instance_id, q.id, h.until
    from lane_head h
    cross join lateral (
        select m.instance_id, m.id, m.phone
        from message_queue m
        where m.instance_id = h.instance_id and m.status = 'pending' and m.priority = h.priority
            and m.position >= h.position
        order by m.position
        limit %(max_run)s::int
    ) q
    where is_withheld_v1(q.instance_id, q.phone, h.until)
), locked as materialized (
    -- Locks them; one that a caller is changing stays as it is.
    select m.instance_id, m.id, withheld.until
    from withheld
    join message_queue m on m.instance_id = withheld.instance_id and m.id = withheld.id
    where m.status = 'pending'
    for update of m skip locked
), changed as (
    -- Schedules them.
    update message_queue m
    set status = 'scheduled', withheld_for = 'first_contact', due_at = greatest(m.due_at, c.until),
        updated_at = now()
    from locked c
    where m.instance_id = c.instance_id and m.id = c.id
    returning m.instance_id
)
select w.instance_id, (select count(*) from changed c where c.instance_id = w.instance_id) as moved,
       w.until is not null as is_on
from worker w;

-- name: park_for_file
-- Parks a claimed message whose file is not ready; nothing was sent, and no attempt counts. Returns no
-- row if the message may not be parked: its queue is strict, as many are parked as may be, or this
-- claim or its epoch no longer counts. The lease is locked, so that its next owner sees the result.
with lease as materialized (
    -- Locks the lease, if it has this epoch and the queue lets chats pass.
    select l.instance_id
    from instance_leases l
    join instance_lines n on n.instance_id = l.instance_id
    where l.instance_id = %(instance_id)s::text and l.epoch = %(epoch)s::bigint
        and coalesce(n.queue_order, %(default_order)s::text) = 'chat'
        and (
            select count(*) from message_queue a
            where a.instance_id = %(instance_id)s::text and a.status = 'parked'
        ) < %(max_parked)s::int
    for update of l
)
update message_queue m
set status = 'parked', parked_for = 'file', claimed_epoch = null, claim_id = null, claimed_at = null,
    due_at = now() + make_interval(secs => %(max_seconds)s::double precision), updated_at = now()
from lease l
where m.instance_id = l.instance_id and m.id = %(id)s::bigint
    and m.status = 'processing' and m.claimed_epoch = %(epoch)s::bigint
    and m.claim_id is not distinct from %(claim_id)s::uuid and m.attempt_started_at is null
returning m.instance_id, m.id;

-- name: find_next
-- The messages with files in the next places of queues in chat order.
select q.instance_id, q.id, q.type, q.version, q.payload
from unnest(
    %(instance_ids)s::text[], %(epochs)s::bigint[], %(from_high)s::bigint[], %(from_normal)s::bigint[],
    %(from_bulk)s::bigint[]
) as w (instance_id, epoch, from_high, from_normal, from_bulk)
join instance_leases l on l.instance_id = w.instance_id and l.epoch = w.epoch
join instance_lines n
    on n.instance_id = w.instance_id and coalesce(n.queue_order, %(default_order)s::text) = 'chat'
cross join (values (0), (1), (2)) as lane (priority)
cross join lateral (
    select h.instance_id, h.id, h.type, h.version, h.payload, h.position
    from message_queue h
    where h.instance_id = w.instance_id and h.status = 'pending' and h.priority = lane.priority
        and h.position >= case
            when lane.priority = 0 then w.from_high
            when lane.priority = 1 then w.from_normal
            else w.from_bulk
        end
    order by h.position
    limit %(max_count)s::int
) q
where q.type = any(%(types)s::text[])
order by lane.priority, q.position;

-- name: find_live
-- Returns those of the messages that may still be sent: not canceled, expired, failed or sent.
select q.instance_id, q.id
from unnest(%(instance_ids)s::text[], %(ids)s::bigint[]) as w (instance_id, id)
join message_queue q on q.instance_id = w.instance_id and q.id = w.id
where q.status in ('behind', 'parked', 'pending', 'processing')
    and (q.expires_at is null or q.expires_at > now());

-- name: mark_idle
-- Marks queues idle, so that the next enqueue wakes their workers.
select instance_id, seconds_until_due from mark_queues_idle_v1(%(instance_ids)s::text[]);

-- name: find_owned
-- Returns the claimed messages that may still be sent: not those that were canceled, that have
-- expired, or that a later claim took.
select m.instance_id, m.id
from unnest(%(instance_ids)s::text[], %(ids)s::bigint[], %(claim_ids)s::uuid[]) as s (instance_id, id, claim_id)
cross join lateral (
    select q.ctid as tid from message_queue q
    where q.instance_id = s.instance_id and q.id = s.id
    offset 0
) place
join message_queue m on m.ctid = place.tid
where m.claim_id is not distinct from s.claim_id and m.claimed_epoch is not null
    and (m.expires_at is null or m.expires_at > now());

-- name: start_attempts
-- Returns the rows whose attempt may begin; without its row, a worker must not call the provider.
-- Skips locked rows: a message that a caller is canceling does not start. The id of the claim makes
-- sure that no later claim of the same epoch took the row. A message that expired during the pause
-- does not start; the next claim brings it again, as expired. The attempt names its connection. No index has the columns that are set, so
-- the new row version stays in its page.
with ready as materialized (
    -- Locks the leases and the claimed messages of queues that may move.
    select m.instance_id, m.id, s.connection_id
    from unnest(
        %(instance_ids)s::text[], %(ids)s::bigint[], %(epochs)s::bigint[], %(claim_ids)s::uuid[],
        %(connection_ids)s::text[]
    ) as s (instance_id, id, epoch, claim_id, connection_id)
    join instance_leases l on l.instance_id = s.instance_id and l.epoch = s.epoch
    join instance_lines n
        on n.instance_id = s.instance_id and n.connected and not n.paused
        and (n.hold_until is null or n.hold_until <= now())
    cross join lateral (
        select q.ctid as tid from message_queue q
        where q.instance_id = s.instance_id and q.id = s.id
        offset 0
    ) place
    join message_queue m on m.ctid = place.tid
    where m.claimed_epoch = s.epoch and m.claim_id = s.claim_id and m.attempt_started_at is null
        and (m.expires_at is null or m.expires_at > now())
    for update of l, m skip locked
)
update message_queue m
set attempt_started_at = now(), attempts = m.attempts + 1, connection_id = r.connection_id
from ready r
where m.instance_id = r.instance_id and m.id = r.id
returning m.instance_id, m.id;

-- name: hand_back
-- Nothing was sent: the row waits again as if it had never been claimed. Here and in the other
-- outcomes, the id of the claim keeps a late statement from changing a row that was claimed again.
update message_queue
set status = 'pending', claimed_epoch = null, claim_id = null, claimed_at = null, attempt_started_at = null,
    attempts = %(attempts)s::smallint, updated_at = now()
where instance_id = %(instance_id)s::text and id = %(id)s::bigint
    and status = 'processing' and claimed_epoch = %(epoch)s::bigint
    and claim_id is not distinct from %(claim_id)s::uuid;

-- name: record_sent
-- Moves the row to history and enqueues its callbacks in the same statement. `idle` says that the queue
-- is empty and marked idle: the worker waits for a wake-up. A message whose
-- delivery queue another transaction has locked is left for the next flush. There is no condition on
-- `status`: only rows whose status is `processing` have an epoch, and the planner would consider the
-- index of all such rows, of which statistics taken at rest know none.
with done as (
    -- The sent messages as rows.
    select *
    from unnest(
        %(instance_ids)s::text[], %(ids)s::bigint[], %(epochs)s::bigint[], %(claim_ids)s::uuid[],
        %(provider_message_ids)s::text[], %(provider_data)s::bytea[], %(chats)s::text[],
        %(callback_ids)s::uuid[], %(callbacks)s::text[], %(echo_ids)s::uuid[], %(echoes)s::text[],
        %(status_ids)s::uuid[], %(status_callbacks)s::text[], %(sent_files)s::text[]
    ) as d (
        instance_id, id, epoch, claim_id, provider_message_id, provider_data, chat, callback_id,
        callback, echo_id, echo, status_id, status_callback, sent_files
    )
), existing_queue as materialized (
    -- The existing delivery queues of their chats at Z-API's webhooks.
    select d.instance_id, d.chat, w.tid
    from done d
    cross join lateral (
        select w.ctid as tid from webhook_lines w
        where w.instance_id = d.instance_id and w.chat = d.chat
        offset 0
    ) w
), locked as materialized (
    -- Locks those that are not locked by another transaction.
    select t.tid
    from existing_queue t
    join webhook_lines w on w.ctid = t.tid
    order by t.instance_id, t.chat
    for no key update of w skip locked
), free as (
    -- The messages whose delivery queue is locked now or does not exist yet.
    select d.*
    from done d
    left join existing_queue t on t.instance_id = d.instance_id and t.chat = d.chat
    where t.tid is null or t.tid in (select tid from locked)
), removed as (
    -- Takes them out of the queue, if they still belong to this epoch and claim.
    delete from message_queue m
    using free f
    where m.instance_id = f.instance_id and m.id = f.id and m.claimed_epoch = f.epoch
        and m.claim_id is not distinct from f.claim_id
    returning m.*, f.provider_message_id, f.provider_data, f.callback_id, f.callback, f.echo_id, f.echo,
        f.status_id, f.status_callback, f.sent_files, f.chat as delivery_chat
), archived as (
    -- Stores them in history.
    insert into messages (
        instance_id, message_id, recorded_at, created_at, attempt_started_at, sent_at,
        sequence_number, version, attempts, from_me, status, zaap_id, provider_message_id, phone,
        type, payload, provider_data, sent_files, connection_id
    )
    select instance_id, message_id, now(), created_at, attempt_started_at, now(),
           sequence_number, version, attempts, true, 'sent', zaap_id,
           nullif(provider_message_id, message_id), phone, type, payload, provider_data, sent_files,
           connection_id
    from removed
), ids as (
    -- Stores their ids.
    insert into message_ids (instance_id, message_id, recorded_at, provider_message_id)
    select instance_id, message_id, now(), nullif(provider_message_id, message_id)
    from removed
    on conflict (instance_id, message_id) do update set recorded_at = excluded.recorded_at
), echoed as (
    -- Fills the echoes with what only the database knows of the chat.
    select r.instance_id, r.delivery_chat, r.echo_id,
           jsonb_strip_nulls(r.echo::jsonb || jsonb_build_object(
               'connectedPhone', c.phone, 'senderName', c.phone, 'senderLid', y.lid,
               'senderPhoto', z.url, 'photo', v.url, 'chatLid', p.lid,
               'chatName', coalesce(p.name, case when not (r.echo::jsonb ->> 'isGroup')::boolean then r.phone end)
           ))::text as echo
    from removed r
    left join instance_connections c on c.instance_id = r.instance_id
    left join identities p
        on p.instance_id = r.instance_id and (p.phone = r.delivery_chat or p.lid = r.phone)
    left join identities y on y.instance_id = r.instance_id and y.phone = c.phone
    left join profile_pictures v
        on v.instance_id = r.instance_id and v.phone = r.delivery_chat and v.expires_at > now()
    left join profile_pictures z
        on z.instance_id = r.instance_id and z.phone = c.phone and z.expires_at > now()
    where r.echo is not null
), callbacks as (
    -- The callbacks of each message: that it was sent, its echo, and its state, which is SENT.
    select instance_id, delivery_chat as chat, 'DeliveryCallback' as type, callback_id as id,
           callback as body, 1 as turn
    from removed
    union all
    select instance_id, delivery_chat, 'ReceivedCallback', echo_id, echo, 2
    from echoed
    union all
    select instance_id, delivery_chat, 'MessageStatusCallback', status_id, status_callback, 3
    from removed
), enqueued as (
    -- Enqueues the callbacks.
    select enqueue_callbacks_v2(
        array_agg(instance_id order by turn, id), array_agg(chat order by turn, id),
        array_agg(type order by turn, id), array_agg(id order by turn, id),
        array_agg(body order by turn, id)
    )
    from callbacks
), idle as (
    -- Marks the queues idle that are empty now, which saves their workers a claim.
    select i.id
    from mark_empty_queues_idle_v1((select array_agg(instance_id) from removed)) as i (id)
)
select f.instance_id, r.id is not null as recorded, i.id is not null as idle
from free f
left join removed r on r.instance_id = f.instance_id
left join idle i on i.id = f.instance_id
cross join enqueued;

-- name: record_failed
-- The message is given up; its row stays in the queue as a dead letter.
with before as (
    -- When the attempt started, which the update below clears.
    select attempt_started_at as started_at from message_queue
    where instance_id = %(instance_id)s::text and id = %(id)s::bigint
), failed as (
    -- Makes the message a dead letter, if it still belongs to this epoch and claim.
    update message_queue m
    set status = 'failed', last_error = %(error)s::text, updated_at = now(),
        claimed_epoch = null, claim_id = null, claimed_at = null, attempt_started_at = null
    from before
    where m.instance_id = %(instance_id)s::text and m.id = %(id)s::bigint
        and m.status = 'processing' and m.claimed_epoch = %(epoch)s::bigint
        and m.claim_id is not distinct from %(claim_id)s::uuid
    returning m.instance_id, m.message_id, m.phone, m.connection_id, before.started_at
), attempt as (
    -- Stores the attempt.
    insert into message_attempts (
        instance_id, message_id, started_at, ended_at, outcome, error, connection_id
    )
    select instance_id, message_id, started_at, now(), %(outcome)s::text, %(error)s::text, connection_id
    from failed
    where started_at is not null
    on conflict do nothing
)
select enqueue_callbacks_v2(
    array_agg(instance_id), array_agg(coalesce(known_chat_v1(instance_id, phone), phone)),
    array_agg('DeliveryCallback'::text), array_agg(%(callback_id)s::uuid), array_agg(%(callback)s::text)
)
from failed;

-- name: record_retry
-- The attempt failed, and counts or not. The message is parked until it is due again, and other chats pass; if
-- its queue is strict, or as many are parked as may be, it blocks its lane. The lease is locked, so
-- that its next owner sees a parked message.
with lease as materialized (
    -- Locks the lease, if it has this epoch and the queue lets chats pass.
    select l.instance_id
    from instance_leases l
    join instance_lines n on n.instance_id = l.instance_id
    where l.instance_id = %(instance_id)s::text and l.epoch = %(epoch)s::bigint
        and coalesce(n.queue_order, %(default_order)s::text) = 'chat'
        and (
            select count(*) from message_queue a
            where a.instance_id = %(instance_id)s::text and a.status = 'parked'
        ) < %(max_parked)s::int
    for update of l
), before as (
    -- When the attempt started, which the update below clears.
    select attempt_started_at as started_at from message_queue
    where instance_id = %(instance_id)s::text and id = %(id)s::bigint
), returned as (
    -- Puts the message back, if it still belongs to this epoch and claim.
    update message_queue m
    set status = case when l.instance_id is null then 'pending' else 'parked' end,
        parked_for = case when l.instance_id is not null then 'retry' end,
        claimed_epoch = null, claim_id = null, claimed_at = null, attempt_started_at = null,
        attempts = case when %(counts)s::boolean then m.attempts else %(attempts)s::smallint end,
        deferrals = case when %(counts)s::boolean then m.deferrals else m.deferrals + 1 end,
        due_at = now() + make_interval(secs => %(after_seconds)s::double precision),
        last_error = %(error)s::text, updated_at = now()
    from before
    left join lease l on true
    where m.instance_id = %(instance_id)s::text and m.id = %(id)s::bigint
        and m.status = 'processing' and m.claimed_epoch = %(epoch)s::bigint
        and m.claim_id is not distinct from %(claim_id)s::uuid
    returning m.instance_id, m.message_id, m.connection_id, before.started_at
), attempt as (
    -- Stores the attempt.
    insert into message_attempts (
        instance_id, message_id, started_at, ended_at, outcome, error, connection_id
    )
    select instance_id, message_id, started_at, now(), %(outcome)s::text, %(error)s::text, connection_id
    from returned
    where started_at is not null
    on conflict do nothing
)
select count(*) as rows from returned;

-- name: withhold_message
-- WhatsApp lets the number write to known chats only, and refused this message: the attempt does not
-- count, and the message is withheld until a time. The callback goes where that of a held queue goes,
-- once for each time that the rule begins.
with before as (
    -- Whether the rule held before.
    select coalesce(n.first_contacts_until > now(), false) as was_on from instance_lines n
    where n.instance_id = %(instance_id)s::text
), returned as (
    -- Schedules the message, if it still belongs to this epoch and claim.
    update message_queue
    set status = 'scheduled', withheld_for = 'refused_contact',
        due_at = greatest(%(until)s::timestamptz, now() + interval '1 second'),
        claimed_epoch = null, claim_id = null, claimed_at = null, attempt_started_at = null,
        attempts = %(attempts)s::smallint, last_error = %(reason)s::text, updated_at = now()
    where instance_id = %(instance_id)s::text and id = %(id)s::bigint
        and status = 'processing' and claimed_epoch = %(epoch)s::bigint
        and claim_id is not distinct from %(claim_id)s::uuid
    returning instance_id
), held as (
    -- Begins the rule, or makes it last longer.
    update instance_lines n
    set first_contacts_until = greatest(
            n.first_contacts_until, %(until)s::timestamptz, now() + interval '1 second'
        ),
        first_contacts_reason = %(reason)s::text
    from returned
    where n.instance_id = returned.instance_id
)
select enqueue_callbacks_v2(
    array_agg(returned.instance_id), array_agg('queue'::text), array_agg('DeliveryCallback'::text),
    array_agg(%(callback_id)s::uuid), array_agg(%(callback)s::text)
)
from returned, before
where not before.was_on;

-- name: hold_queue
-- Holds the whole queue until a time; the attempt counts only if the caller says so. A hold that waits for the owner to
-- confirm a linking stays as it is. The callback goes to the webhook
-- of deliveries, because Z-API has none for holds. Historic: its event has the type
-- `DeliveryCallback`, which selects that webhook, and the chat `queue`, so that holds have a delivery
-- queue of their own. The type in the posted body is `QueueHeldCallback`.
with returned as (
    -- Puts the message back, if it still belongs to this epoch and claim.
    update message_queue
    set status = 'pending', claimed_epoch = null, claim_id = null, claimed_at = null,
        attempt_started_at = null,
        attempts = %(attempts)s::smallint, deferrals = %(deferrals)s::smallint,
        last_error = %(reason)s::text, updated_at = now()
    where instance_id = %(instance_id)s::text and id = %(id)s::bigint
        and status = 'processing' and claimed_epoch = %(epoch)s::bigint
        and claim_id is not distinct from %(claim_id)s::uuid
    returning instance_id
), held as (
    -- Holds its queue.
    update instance_lines n
    set hold_until = greatest(n.hold_until, %(until)s::timestamptz, now() + interval '1 second'),
        hold_reason = %(reason)s::text, hold_kind = %(kind)s::text
    from returned
    where n.instance_id = returned.instance_id and n.hold_kind is distinct from 'linking'
)
select enqueue_callbacks_v2(
    array_agg(instance_id), array_agg('queue'::text), array_agg('DeliveryCallback'::text),
    array_agg(%(callback_id)s::uuid), array_agg(%(callback)s::text)
)
from returned;

-- name: sent_today
-- Counts up to a number; the day is UTC, by the database's clock.
select (
        select count(*)
        from (
            select 1 from messages
            where instance_id = %(instance_id)s::text and status = 'sent'
                and recorded_at >= date_trunc('day', now(), 'UTC')
            limit %(max_count)s::int
        ) counted
    ) as sent,
    date_trunc('day', now(), 'UTC') + interval '1 day' as ends_at;

-- name: find_orphans
-- Claimed rows of these instances. Run it before their workers begin: the workers that claimed
-- these rows are gone. A node that has lost the lease meanwhile finds nothing.
select m.instance_id, m.id, m.zaap_id, m.message_id, m.type, m.version, m.phone, m.payload,
       m.priority, m.position, m.attempts, m.max_attempts, m.created_at, m.claimed_epoch,
       m.claim_id, false as is_expired, 0::bigint as reordered, m.deferrals, m.attempt_started_at
from unnest(%(instance_ids)s::text[], %(epochs)s::bigint[]) as w (instance_id, epoch)
join instance_leases l on l.instance_id = w.instance_id and l.epoch = w.epoch
join message_queue m
    on m.instance_id = w.instance_id and m.status = 'processing' and m.claimed_epoch <= w.epoch;

-- name: promote_due
-- A due message keeps its position in its lane; only its state changes.
with due as (
    -- Locks due messages of this node's queues.
    select q.instance_id, q.id
    from message_queue q
    join instance_leases l on l.instance_id = q.instance_id and l.node_id = %(node_id)s::text
    where q.status = 'scheduled' and q.due_at <= now()
    order by q.due_at
    limit 1000
    for update of q skip locked
), promoted as (
    -- Makes them pending.
    update message_queue m set status = 'pending', withheld_for = null, updated_at = now()
    from due
    where m.instance_id = due.instance_id and m.id = due.id
    returning m.instance_id
), queue as materialized (
    -- Locks their queues.
    select n.instance_id
    from instance_lines n
    where n.instance_id in (select instance_id from promoted)
    order by n.instance_id
    for no key update
), reordered_queue as (
    -- Makes the claimers read those queues from the front again.
    update instance_lines n set reordered = n.reordered + 1
    from queue
    where n.instance_id = queue.instance_id
)
select instance_id from queue;

-- name: release_known
-- Returns withheld messages to their lanes whose chat is known by now, or for whose number the rule has
-- ended. One that WhatsApp refused goes on only after a later message of its chat. Ends the rule of a
-- queue from which no message is withheld any more.
with known as (
    -- Locks such messages of this node's queues.
    select q.instance_id, q.id
    from message_queue q
    join instance_leases l on l.instance_id = q.instance_id and l.node_id = %(node_id)s::text
    join instance_lines n on n.instance_id = q.instance_id
    where q.withheld_for is not null and q.status = 'scheduled'
        and (
            coalesce(n.first_contacts_until, '-infinity') <= now()
            or exists (
                select from chats c
                where c.instance_id = q.instance_id
                    and c.phone = any(queue_names_v1(q.instance_id, q.phone))
                    and c.last_message_at > case
                        when q.withheld_for = 'first_contact' then 'epoch' else q.updated_at
                    end
            ) and not exists (
                select from message_queue a
                where q.withheld_for = 'first_contact' and a.instance_id = q.instance_id
                    and a.phone = any(queue_names_v1(q.instance_id, q.phone))
                    and a.withheld_for = 'refused_contact' and a.status = 'scheduled'
            )
        )
    order by q.instance_id, q.id
    limit 1000
    for update of q skip locked
), released as (
    -- Makes them pending and due.
    update message_queue m
    set status = 'pending', withheld_for = null, due_at = least(m.due_at, now()), updated_at = now()
    from known
    where m.instance_id = known.instance_id and m.id = known.id
    returning m.instance_id
), queue as materialized (
    -- Locks their queues, and those whose rule has ended.
    select n.instance_id
    from instance_lines n
    where n.instance_id in (
        select instance_id from released
        union all
        select e.instance_id
        from instance_lines e
        join instance_leases l on l.instance_id = e.instance_id and l.node_id = %(node_id)s::text
        where e.first_contacts_until <= now()
    )
    order by n.instance_id
    for no key update
), reordered_queue as (
    -- Makes the claimers read those queues from the front again.
    update instance_lines n
    set reordered = n.reordered + 1,
        first_contacts_until = case when n.first_contacts_until > now() then n.first_contacts_until end,
        first_contacts_reason = case when n.first_contacts_until > now() then n.first_contacts_reason end
    from queue
    where n.instance_id = queue.instance_id
)
select instance_id from queue;

-- name: next_scheduled
-- Of this node's queues only, because promote_due changes no others.
select extract(epoch from q.due_at - now())::double precision as seconds_until_due
from message_queue q
join instance_leases l on l.instance_id = q.instance_id and l.node_id = %(node_id)s::text
where q.status = 'scheduled'
order by q.due_at
limit 1;

-- name: find_stalled_queues
-- Queues of this node that could move and whose worker may have missed a wake-up. A claimed row
-- without a started attempt is either being prepared, and a wake-up changes nothing, or the answer to
-- its claim was lost, and the next claim of the worker gets it.
select l.instance_id
from instance_leases l
join instance_lines n on n.instance_id = l.instance_id and n.connected and not n.paused
    and (n.hold_until is null or n.hold_until <= now())
where l.node_id = %(node_id)s::text
    and (
        exists (
            select 1 from message_queue q
            where q.instance_id = l.instance_id and q.status = 'pending' and q.due_at <= now()
        )
        or exists (
            select 1 from message_queue q
            where q.instance_id = l.instance_id and q.status = 'processing'
                and q.attempt_started_at is null
        )
        or exists (
            select 1 from message_queue a
            where a.instance_id = l.instance_id and a.status = 'parked'
                and least(a.due_at, a.expires_at) <= now()
        )
        or exists (
            select 1 from message_queue b where b.instance_id = l.instance_id and b.status = 'behind'
        )
    );

-- name: find_waiting_queues
-- Queues of this node that may move, in which a message is due, has expired or is claimed. A parked
-- message is due when its pause is over, and one behind it only when it has become the head.
select l.instance_id, head.id as head_id, p.id as claimed_id, p.claim_id
from instance_leases l
join instance_lines n on n.instance_id = l.instance_id and n.connected and not n.paused
    and (n.hold_until is null or n.hold_until <= now())
left join message_queue p on p.instance_id = l.instance_id and p.status = 'processing'
left join lateral (
    select q.id
    from (values (0), (1), (2)) as lane (priority)
    cross join lateral (
        select h.id, least(h.due_at, h.expires_at) as due_at
        from message_queue h
        where h.instance_id = l.instance_id and h.status = 'pending' and h.priority = lane.priority
        order by h.position
        limit 1
    ) q
    where q.due_at <= now()
    union all
    select a.id
    from message_queue a
    where a.instance_id = l.instance_id and a.status = 'parked' and least(a.due_at, a.expires_at) <= now()
    limit 1
) head on true
where l.node_id = %(node_id)s::text and (p.id is not null or head.id is not null);

-- name: find_unowned_queues
-- Queues that count as connected and have a due message, although no live node has their lease.
select n.instance_id
from instance_lines n
left join instance_leases l on l.instance_id = n.instance_id
where n.connected and not n.paused and (n.hold_until is null or n.hold_until <= now())
    and not exists (select 1 from nodes e where e.id = l.node_id and e.expires_at > now())
    and exists (
        select 1 from message_queue q
        where q.instance_id = n.instance_id and q.status in ('pending', 'parked') and q.due_at <= now()
    )
limit 100;

-- name: free_unowned_queue
-- Makes every node look for free leases. An instance that wants no session gets no owner, so its queue
-- no longer counts as connected.
with queue as materialized (
    -- Locks the queue, if no live node has its lease.
    select n.instance_id
    from instance_lines n
    join instances i on i.id = n.instance_id and not i.wanted
    left join instance_leases l on l.instance_id = n.instance_id
    where n.instance_id = %(instance_id)s::text
        and not exists (select 1 from nodes e where e.id = l.node_id and e.expires_at > now())
    for no key update of n
), down as (
    -- Stores that it is not connected.
    update instance_lines n set connected = false
    from queue
    where n.instance_id = queue.instance_id
)
select pg_notify('leases', '');

-- name: count_waiting
select count(*) as count from message_queue
where instance_id = %(instance_id)s::text and status <> 'failed';

-- name: list_waiting
select q.zaap_id, q.message_id, q.type, q.phone, q.payload, q.sequence_number, q.attempts, q.max_attempts,
       q.due_at, q.expires_at, q.created_at, q.last_error, reported_status_v1(q) as status, q.id, q.priority,
       q.status as state, q.parked_for, q.withheld_for, q.deferrals, q.due_at <= now() as is_due, q.claimed_at,
       q.attempt_started_at
from message_queue q
where q.instance_id = %(instance_id)s::text and q.status <> 'failed'
    and q.sequence_number > %(after)s::bigint
    and (%(status)s::text is null or reported_status_v1(q) = %(status)s::text)
    and (%(type)s::text is null or q.type = %(type)s::text)
    and (%(phones)s::text[] is null or q.phone = any(%(phones)s::text[]))
    and (%(track_id)s::text is null or q.payload ->> 'track_id' = %(track_id)s::text)
order by q.sequence_number
limit %(limit)s::int offset %(offset)s::int;

-- name: find_waiting
-- What says why a message waits; no row if it does not.
select q.id, q.priority, q.payload, q.status as state, q.parked_for, q.withheld_for, q.deferrals, q.attempts,
       q.due_at, q.due_at <= now() as is_due, q.claimed_at, q.attempt_started_at
from message_queue q
where q.instance_id = %(instance_id)s::text and q.message_id = %(message_id)s::text and q.status <> 'failed';

-- name: find_places
-- How many messages of its lane are before each of these messages; null for one that is further back
-- than max_count, or that no longer waits for its turn. Reads no more than that of each lane, however
-- many messages wait.
with first as materialized (
    -- The first messages of each lane.
    select q.id, q.priority, q.due_at, row_number() over (partition by q.priority order by q.position) - 1 as ahead
    from (values (0), (1), (2)) as lane (priority)
    cross join lateral (
        select h.id, h.priority, h.position, h.due_at from message_queue h
        where h.instance_id = %(instance_id)s::text and h.status = 'pending' and h.priority = lane.priority
        order by h.position
        limit %(max_count)s::int
    ) q
), lane_size as materialized (
    -- How many of them each lane has.
    select count(*) filter (where priority = 0) as high, count(*) filter (where priority = 1) as normal,
           count(*) filter (where priority = 2) as bulk
    from first
)
select m.id, q.ahead, n.high, n.normal, n.bulk,
       case when h.due_at > now() then h.due_at end as head_rests_until,
       exists (
           select from message_queue p
           where p.instance_id = %(instance_id)s::text and p.status = 'processing'
       ) as has_claimed
from unnest(%(ids)s::bigint[]) as m (id)
cross join lane_size n
left join first q on q.id = m.id
left join first h on h.priority = q.priority and h.ahead = 0;

-- name: cancel_waiting
-- Cancels messages that wait, and claimed ones whose attempt has not started; makes no callback. If one
-- of them was parked, the worker wakes, because messages of its chat wait behind it.
with chosen as (
    -- Locks the messages that match and whose attempt has not started.
    select q.instance_id, q.id
    from message_queue q
    where q.instance_id = %(instance_id)s::text and q.status <> 'failed' and q.attempt_started_at is null
        and (%(status)s::text is null or reported_status_v1(q) = %(status)s::text)
        and (%(type)s::text is null or q.type = %(type)s::text)
        and (%(phones)s::text[] is null or q.phone = any(%(phones)s::text[]))
        and (%(track_id)s::text is null or q.payload ->> 'track_id' = %(track_id)s::text)
        and (%(before)s::timestamptz is null or q.created_at < %(before)s::timestamptz)
        and (%(message_id)s::text is null or q.message_id = %(message_id)s::text)
    for update
), removed as (
    -- Deletes them from the queue.
    delete from message_queue m
    using chosen c
    where m.instance_id = c.instance_id and m.id = c.id
    returning m.*
), archived as (
    -- Stores them in history as canceled.
    insert into messages (
        instance_id, message_id, recorded_at, created_at, sequence_number, version, attempts, from_me,
        status, zaap_id, phone, type, payload
    )
    select instance_id, message_id, now(), created_at, sequence_number, version, attempts, true,
           'canceled', zaap_id, phone, type, payload
    from removed
), ids as (
    -- Stores their ids.
    insert into message_ids (instance_id, message_id, recorded_at)
    select instance_id, message_id, now() from removed
    on conflict (instance_id, message_id) do update set recorded_at = excluded.recorded_at
), woken as materialized (
    -- Wakes the worker of the queue.
    select pg_notify('node:' || e.node_id, e.instance_id)
    from instance_leases e
    where e.instance_id in (select instance_id from removed where status = 'parked')
)
select count(*) as count from removed left join woken on true;

-- name: state_of_message
-- Returns no row if the instance never had the message.
select case when attempt_started_at is not null then 'being sent'
            when status = 'failed' then 'failed' else 'waiting' end as state
from message_queue
where instance_id = %(instance_id)s::text and message_id = %(message_id)s::text
union all
select m.status
from message_ids i
join messages m
    on m.instance_id = i.instance_id and m.message_id = i.message_id and m.recorded_at = i.recorded_at
where i.instance_id = %(instance_id)s::text and i.message_id = %(message_id)s::text and m.from_me
limit 1;

-- name: list_attempts
select started_at, ended_at, outcome, error, duration_seconds
from message_attempts
where instance_id = %(instance_id)s::text and message_id = %(message_id)s::text
order by started_at;

-- name: list_failed
select * from message_states
where instance_id = %(instance_id)s::text and in_queue and settled
    and sequence_number > %(after)s::bigint
    and (%(type)s::text is null or type = %(type)s::text)
    and (%(phones)s::text[] is null or phone = any(%(phones)s::text[]))
order by sequence_number
limit %(limit)s::int;

-- name: list_latest_failed
-- The last one that failed first.
select * from message_states
where instance_id = %(instance_id)s::text and in_queue and settled
    and (recorded_at, message_id) < (%(before)s::timestamptz, %(before_id)s::text)
    and (%(type)s::text is null or type = %(type)s::text)
    and (%(phones)s::text[] is null or phone = any(%(phones)s::text[]))
order by recorded_at desc, message_id desc
limit %(limit)s::int;

-- name: count_matching
-- How many messages a clearing of the queue would remove now.
select count(*) as count
from message_queue q
where q.instance_id = %(instance_id)s::text and q.status <> 'failed' and q.attempt_started_at is null
    and (%(status)s::text is null or reported_status_v1(q) = %(status)s::text)
    and (%(type)s::text is null or q.type = %(type)s::text)
    and (%(phones)s::text[] is null or q.phone = any(%(phones)s::text[]))
    and (%(track_id)s::text is null or q.payload ->> 'track_id' = %(track_id)s::text)
    and (%(before)s::timestamptz is null or q.created_at < %(before)s::timestamptz);

-- name: pause_queue
-- Wakes the worker of the queue.
with queue as (
    -- Pauses or resumes the queue.
    update instance_lines set paused = %(paused)s::boolean
    where instance_id = %(instance_id)s::text
    returning instance_id
)
select pg_notify('node:' || e.node_id, e.instance_id)
from queue
join instance_leases e on e.instance_id = queue.instance_id;

-- name: end_daily_limit_hold
-- The limit changed: a worker that had reached it checks again.
with queue as (
    -- Ends the hold, if the daily limit is its reason.
    update instance_lines set hold_until = null, hold_reason = null, hold_kind = null
    where instance_id = %(instance_id)s::text and hold_kind = 'daily_limit'
    returning instance_id
)
select pg_notify('node:' || e.node_id, e.instance_id)
from queue
join instance_leases e on e.instance_id = queue.instance_id;

-- name: retry_messages
-- Dead letters go back to their position, with all attempts left; a message that waits for its next
-- attempt becomes due now. Rows are locked before their queue, as in the other statements.
with chosen as materialized (
    -- Locks the messages that failed or wait for another attempt.
    select q.instance_id, q.id
    from message_queue q
    where q.instance_id = %(instance_id)s::text and q.message_id = any(%(message_ids)s::text[])
        and (
            q.status = 'failed'
            or q.status in ('pending', 'parked', 'behind') and (q.attempts > 0 or q.deferrals > 0)
        )
    order by q.sequence_number
    for update
), queue as materialized (
    -- Locks the queue.
    select n.instance_id
    from instance_lines n
    where n.instance_id in (select instance_id from chosen)
    for no key update
), reordered_queue as (
    -- Makes the claimer read the queue from the front again.
    update instance_lines n set reordered = n.reordered + 1
    from queue
    where n.instance_id = queue.instance_id
), returned as (
    -- Makes the messages pending and due.
    update message_queue m
    set attempts = case when m.status = 'failed' then 0 else m.attempts end, deferrals = 0,
        status = case when m.status = 'failed' then 'pending' else m.status end, due_at = now(), expires_at = null, updated_at = now()
    from chosen c
    where m.instance_id = c.instance_id and m.id = c.id
    returning m.id
), woken as materialized (
    -- Wakes the worker of the queue.
    select pg_notify('node:' || e.node_id, e.instance_id)
    from queue
    join instance_leases e on e.instance_id = queue.instance_id
)
select count(*) as count from returned left join woken on true;

-- name: move_to_front
-- Moves a message to the front of its lane, before messages that were moved earlier.
with chosen as materialized (
    -- Locks the message, if it waits.
    select q.instance_id, q.id
    from message_queue q
    where q.instance_id = %(instance_id)s::text and q.message_id = %(message_id)s::text
        and q.status in ('pending', 'scheduled', 'parked', 'behind')
    for update
), queue as (
    -- Takes the next position at the front of the queue.
    update instance_lines n
    set front_position = n.front_position - 1, reordered = n.reordered + 1
    from chosen c
    where n.instance_id = c.instance_id
    returning n.instance_id, n.front_position
), moved as (
    -- Moves the message there.
    update message_queue m
    set position = queue.front_position, status = 'pending', parked_for = null,
        due_at = least(m.due_at, now()),
        updated_at = now()
    from chosen c
    join queue on queue.instance_id = c.instance_id
    where m.instance_id = c.instance_id and m.id = c.id
    returning m.id
), woken as materialized (
    -- Wakes the worker of the queue.
    select pg_notify('node:' || e.node_id, e.instance_id)
    from queue
    join instance_leases e on e.instance_id = queue.instance_id
)
select count(*) as count from moved left join woken on true;

-- name: archive_failed
-- Moves dead letters to history: those of one instance, or all that are old enough.
with chosen as (
    -- Locks the dead letters that match.
    select q.instance_id, q.id
    from message_queue q
    where q.status = 'failed'
        and (%(instance_id)s::text is null or q.instance_id = %(instance_id)s::text)
        and (%(type)s::text is null or q.type = %(type)s::text)
        and (%(phones)s::text[] is null or q.phone = any(%(phones)s::text[]))
        and (%(days)s::int is null or q.updated_at < now() - make_interval(days => %(days)s::int))
    limit %(max_count)s::int
    for update skip locked
), removed as (
    -- Deletes them from the queue.
    delete from message_queue m
    using chosen c
    where m.instance_id = c.instance_id and m.id = c.id
    returning m.*
), archived as (
    -- Stores them in history as failed.
    insert into messages (
        instance_id, message_id, recorded_at, created_at, failed_at, sequence_number, version,
        attempts, from_me, status, error, zaap_id, phone, type, payload, connection_id
    )
    select instance_id, message_id, now(), created_at, updated_at, sequence_number, version,
           attempts, true, 'failed', last_error, zaap_id, phone, type, payload, connection_id
    from removed
), ids as (
    -- Stores their ids.
    insert into message_ids (instance_id, message_id, recorded_at)
    select instance_id, message_id, now() from removed
    on conflict (instance_id, message_id) do update set recorded_at = excluded.recorded_at
)
select count(*) as count from removed;

-- name: find_expired
select instance_id, id, zaap_id, message_id, phone, payload ->> 'track_id' as track_id
from message_queue
where expires_at <= now() and status in ('behind', 'parked', 'pending', 'scheduled')
order by expires_at
limit %(max_count)s::int
for update skip locked;

-- name: expire
-- Makes expired messages dead letters and enqueues their callbacks.
with expired as (
    -- The expired messages as rows.
    select *
    from unnest(
        %(instance_ids)s::text[], %(ids)s::bigint[], %(callback_ids)s::uuid[], %(callbacks)s::text[]
    ) as o (instance_id, id, callback_id, callback)
), failed as (
    -- Makes them dead letters.
    update message_queue m
    set status = 'failed', parked_for = null, last_error = 'expired', updated_at = now()
    from expired
    where m.instance_id = expired.instance_id and m.id = expired.id
    returning m.instance_id, m.phone, expired.callback_id, expired.callback
)
select enqueue_callbacks_v2(
    array_agg(instance_id), array_agg(coalesce(known_chat_v1(instance_id, phone), phone)),
    array_agg('DeliveryCallback'::text), array_agg(callback_id), array_agg(callback)
)
from failed;

-- name: delete_expired_flushes
delete from abandoned_flushes where at < now() - interval '1 day';

-- name: delete_expired_keys
-- A key is valid for 24 hours.
delete from idempotency_keys k
using (
    select instance_id, key from idempotency_keys
    where created_at < now() - interval '25 hours'
    limit %(max_count)s::int
    for update skip locked
) expired
where k.instance_id = expired.instance_id and k.key = expired.key;

-- name: count_by_kind
select reported_status_v1(q) as status, q.type, count(*) as count, min(q.created_at) as oldest_at,
       count(*) filter (where q.status <> 'scheduled') as leaving,
       coalesce(sum(
           coalesce((q.payload ->> 'delay_message')::int, 0) + coalesce((q.payload ->> 'delay_typing')::int, 0)
       ) filter (where q.status <> 'scheduled'), 0)::bigint as delay_seconds
from message_queue q
where q.instance_id = %(instance_id)s::text
group by 1, 2;

-- name: queue_state
select n.connected, n.paused,
       case when n.first_contacts_until > now() then n.first_contacts_until end as first_contacts_until,
       case when n.hold_until > now() and n.hold_kind is distinct from 'linking' then n.hold_until end
           as hold_until,
       case when n.hold_until > now() then n.hold_reason end as hold_reason,
       case when n.hold_until > now() then n.hold_kind end as hold_kind,
       case
           when n.hold_kind is distinct from 'linking'
           then greatest(0, extract(epoch from n.hold_until - now()))
       end::double precision as hold_seconds
from instance_lines n
where n.instance_id = %(instance_id)s::text;

-- name: queue_order
-- Null is the setting of the service.
select queue_order, unknown_quote from instance_lines where instance_id = %(instance_id)s::text;

-- name: change_queue_order
-- Null leaves a setting as it is. Wakes the worker.
with queue as (
    -- Stores the order, and what a reply does that quotes an unknown message.
    update instance_lines
    set queue_order = coalesce(%(queue_order)s::text, queue_order),
        unknown_quote = coalesce(%(unknown_quote)s::text, unknown_quote)
    where instance_id = %(instance_id)s::text
        and coalesce(%(queue_order)s::text, %(unknown_quote)s::text) is not null
    returning instance_id
)
select pg_notify('node:' || e.node_id, e.instance_id)
from queue
join instance_leases e on e.instance_id = queue.instance_id;

-- name: change_settings
-- Null leaves a setting as it is; setting the length of the warm-up starts it again.
update instances
set pace_min_seconds = coalesce(%(pace_min_seconds)s::double precision, pace_min_seconds),
    pace_max_seconds = coalesce(%(pace_max_seconds)s::double precision, pace_max_seconds),
    daily_limit = coalesce(%(daily_limit)s::int, daily_limit),
    warm_up_days = coalesce(%(warm_up_days)s::int, warm_up_days),
    warm_up_from = case when %(warm_up_days)s::int is null then warm_up_from else now() end
where id = %(instance_id)s::text;

-- name: find_progress
-- The states of all messages that callers wait for.
select s.instance_id, s.message_id, s.status, s.error, s.settled
from unnest(%(instance_ids)s::text[], %(message_ids)s::text[]) as w (instance_id, message_id)
join message_states s on s.instance_id = w.instance_id and s.message_id = w.message_id;

-- name: store_offset
-- Runs in the transaction that accepts the message before that offset.
insert into kafka_offsets as k (topic, partition, next_offset)
values (%(topic)s::text, %(partition)s::int, %(next_offset)s::bigint)
on conflict (topic, partition) do update
set next_offset = greatest(k.next_offset, excluded.next_offset);

-- name: find_broadcast_members
select phones from broadcast_lists where instance_id = %(instance_id)s::text and id = %(id)s::text;
