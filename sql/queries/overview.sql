-- What an account or an operator sees at a glance.
-- Aliases: a account, b what waits of an instance, c connection, d dead letter, e lease, f further webhook,
-- g chat, h head of a lane, i instance, k found instance with the key of its order, l queue of an instance,
-- m message, n node, o link of an instance, p instance of the page, q queued message, u user, v lane,
-- w delivery queue, x instance of the account.

-- name: list_overview_instances
-- A page of an account's instances. The last message is that of the chat with the latest one.
with found as materialized (
    -- The instances that fit.
    select i.id, i.name, i.provider, i.created_at, c.state, c.phone, c.reason,
           coalesce(c.down_since, c.changed_at, i.created_at) as down_since,
           l.paused, l.pause_changed_at, l.hold_kind,
           case when l.hold_until > now() then l.hold_until end as hold_until
    from instances i
    left join instance_connections c on c.instance_id = i.id
    left join instance_lines l on l.instance_id = i.id
    where i.account_id = %(account_id)s::text
        and (%(provider)s::text is null or i.provider = %(provider)s::text)
        and (%(states)s::text[] is null or coalesce(c.state, 'connecting') = any(%(states)s::text[]))
        and (
            strpos(lower(i.name), lower(%(text)s::text)) > 0
            or strpos(lower(i.id), lower(%(text)s::text)) > 0
            or strpos(c.phone, nullif(%(digits)s::text, '')) > 0
        )
        and (
            %(quiet_days)s::int is null
            or not exists (
                select from chats g
                where g.instance_id = i.id and not g.hidden
                    and g.last_message_at > now() - make_interval(days => %(quiet_days)s::int)
            )
        )
), backlog as materialized (
    -- What waits in each queue, in one pass over all that wait; only where it is the order.
    select q.instance_id, count(*) as waiting
    from message_queue q
    where %(sort)s::text = 'waiting' and q.status <> 'failed'
        and q.instance_id = any(array(select id from found))
    group by q.instance_id
), keyed as (
    -- Only the wanted key is computed.
    select k.*,
           case %(sort)s::text
               when 'name' then lower(k.name)
               when 'state' then coalesce(k.state, 'connecting')
           end as text_key,
           case %(sort)s::text
               when 'created' then extract(epoch from k.created_at)
               when 'downSince' then case when k.state is distinct from 'connected' then
                   extract(epoch from k.down_since)
               end
               when 'lastMessage' then (
                   select extract(epoch from g.last_message_at) from chats g
                   where g.instance_id = k.id and not g.hidden
                   order by g.last_message_at desc limit 1
               )
               when 'waiting' then coalesce(b.waiting, 0)
           end as number_key
    from found k
    left join backlog b on b.instance_id = k.id
), page as (
    -- The page, with the place of each.
    select k.*, row_number() over (
        order by case when not %(descending)s::boolean then k.text_key end,
                 case when %(descending)s::boolean then k.text_key end desc,
                 case when not %(descending)s::boolean then k.number_key end nulls last,
                 case when %(descending)s::boolean then k.number_key end desc nulls last,
                 k.created_at, k.id
    ) as place
    from keyed k
    order by place
    limit %(limit)s::int offset %(offset)s::bigint
)
select p.id, p.name, p.provider, p.created_at, coalesce(p.state, 'connecting') as state,
       p.phone, p.reason, p.down_since, coalesce(p.paused, false) as paused, p.pause_changed_at,
       p.hold_kind, p.hold_until,
       (
           -- In this order, so that each queue is a walk of its part of an index.
           select count(*)
           from (
               select from message_queue q
               where q.instance_id = p.id and q.status <> 'failed'
               order by q.sequence_number
           ) listed
       ) as waiting,
       (
           select count(*) from message_queue q where q.instance_id = p.id and q.status = 'failed'
       ) as failed,
       (
           select g.last_message_at from chats g
           where g.instance_id = p.id and not g.hidden
           order by g.last_message_at desc limit 1
       ) as last_message_at
from page p
order by p.place;

-- name: count_overview_instances
-- How many instances of each state fit the text and the provider.
select coalesce(c.state, 'connecting') as state, count(*) as count
from instances i
left join instance_connections c on c.instance_id = i.id
where i.account_id = %(account_id)s::text
    and (%(provider)s::text is null or i.provider = %(provider)s::text)
    and (
        strpos(lower(i.name), lower(%(text)s::text)) > 0
        or strpos(lower(i.id), lower(%(text)s::text)) > 0
        or strpos(c.phone, nullif(%(digits)s::text, '')) > 0
    )
    and (
        %(quiet_days)s::int is null
        or not exists (
            select from chats g
            where g.instance_id = i.id and not g.hidden
                and g.last_message_at > now() - make_interval(days => %(quiet_days)s::int)
        )
    )
group by 1;

-- name: read_overview_totals
-- The queues and callbacks of an account now; without an account, those of all.
with mine as materialized (
    -- The instances.
    select i.id from instances i
    where %(account_id)s::text is null or i.account_id = %(account_id)s::text
), queues as (
    -- What waits, by queue.
    select count(*) filter (where q.status not in ('failed', 'scheduled')) as waiting,
           count(*) filter (where q.status = 'scheduled') as scheduled,
           count(*) filter (where q.status = 'failed') as failed,
           count(*) filter (
               where q.status = 'failed' and q.updated_at > now() - interval '1 hour'
           ) as failed_last_hour,
           min(q.due_at) filter (where q.status = 'pending') as oldest_due_at
    from mine x
    join message_queue q on q.instance_id = x.id
), sent as (
    -- Sent within the last five minutes.
    select count(*) as count
    from mine x
    join messages m
        on m.instance_id = x.id and m.recorded_at > now() - interval '5 minutes'
        and m.from_me and m.status = 'sent'
), callbacks as (
    -- A callback that waits for a receiver which does not answer does not count as late.
    select coalesce(sum(w.pending), 0)::bigint as pending,
           min(w.due_at) filter (where w.address is null) as late_since
    from mine x
    join delivery_queues w on w.instance_id = x.id and w.due_at is not null
), dead as (
    -- Callbacks that were given up, and neither retried nor discarded.
    select count(*) as count
    from mine x
    join webhook_dead_letters d on d.instance_id = x.id and d.status in ('pending', 'failed')
)
select queues.waiting, queues.scheduled, queues.failed, queues.failed_last_hour,
       greatest(extract(epoch from now() - queues.oldest_due_at), 0)::double precision as oldest_seconds,
       sent.count as sent_recently, callbacks.pending as callbacks,
       greatest(extract(epoch from now() - callbacks.late_since), 0)::double precision
           as callback_lag_seconds,
       dead.count as dead_letters
from queues cross join sent cross join callbacks cross join dead;

-- name: list_findings
-- What needs attention, of an account or of all; of each kind the oldest, and how many there are.
with mine as materialized (
    -- The instances with their connections and queues.
    select i.id, i.account_id, i.name, i.created_at, i.wanted, i.subscribed, i.trial_ends_at,
           i.received_callback_url, c.state, c.changed_at, coalesce(c.down_since, c.changed_at) as down_since,
           l.connected, l.paused, l.pause_changed_at, l.next_sequence, l.hold_until, l.hold_kind,
           l.first_contacts_until, c.health, c.health_since,
           l.hold_kind = 'linking' or l.hold_until > now() + interval '50 years' as held_by_linking
    from instances i
    left join instance_connections c on c.instance_id = i.id
    left join instance_lines l on l.instance_id = i.id
    where %(account_id)s::text is null or i.account_id = %(account_id)s::text
), heads as (
    -- Queues that should move, whose head has been due for long, and that nothing works on.
    select x.id, min(h.due_at) as due_at
    from mine x
    cross join (values (0::smallint), (1::smallint), (2::smallint)) as v (lane)
    cross join lateral (
        select q.due_at from message_queue q
        where q.instance_id = x.id and q.status = 'pending' and q.priority = v.lane
        order by q.position
        limit 1
    ) h
    where x.connected and not x.paused
        and h.due_at < now() - make_interval(secs => %(stalled_seconds)s::double precision)
        and x.changed_at < now() - make_interval(secs => %(stalled_seconds)s::double precision)
        and coalesce(x.hold_until, '-infinity')
            < now() - make_interval(secs => %(stalled_seconds)s::double precision)
        and coalesce(x.pause_changed_at, '-infinity')
            < now() - make_interval(secs => %(stalled_seconds)s::double precision)
        and not exists (
            select from message_queue q where q.instance_id = x.id and q.status = 'processing'
        )
        and not exists (
            select from messages m
            where m.instance_id = x.id and m.from_me
                and m.recorded_at > now() - make_interval(secs => %(stalled_seconds)s::double precision)
        )
    group by x.id
), found as (
    -- Connections: the state is the kind. A phone that was down before its node started stays so.
    select x.state as kind, x.id, x.down_since as since, null::timestamptz as until, 1::bigint as count
    from mine x
    where x.wanted and x.state not in ('connected', 'connecting')
        and x.down_since < now() - interval '2 minutes'
    union all
    select 'connecting', x.id, coalesce(x.down_since, x.created_at), null, 1
    from mine x
    where x.wanted and coalesce(x.state, 'connecting') = 'connecting'
        and coalesce(x.changed_at, x.created_at) < now() - interval '5 minutes'
    union all
    select 'queue_paused', x.id, x.pause_changed_at, null, waiting.count
    from mine x
    cross join lateral (
        -- In this order, so that each queue is a walk of its part of an index.
        select count(*) as count
        from (
            select from message_queue q
            where q.instance_id = x.id and q.status <> 'failed'
            order by q.sequence_number
        ) listed
    ) waiting
    where x.paused and coalesce(x.pause_changed_at, '-infinity') < now() - interval '15 minutes'
        and waiting.count > 0
    union all
    select 'connection_unhealthy', x.id, x.health_since, null, 1
    from mine x
    where x.wanted and x.state = 'connected' and x.health = 'unhealthy'
        -- Without a node nothing checks it, and the last check says nothing about now.
        and exists (
            select from instance_leases e
            join nodes n on n.id = e.node_id and n.expires_at > now()
            where e.instance_id = x.id
        )
    union all
    select 'first_contacts_held', x.id, null, x.first_contacts_until, 1
    from mine x
    where x.first_contacts_until > now()
    union all
    select case x.hold_kind when 'daily_limit' then 'daily_limit' else 'held_by_whatsapp' end,
           x.id, null, x.hold_until, 1
    from mine x
    where x.hold_until > now() and not coalesce(x.held_by_linking, false)
    union all
    -- A phone that the link does not allow is logged out without anybody's help.
    select 'linking_unconfirmed', x.id, o.used_at, null, waiting.count
    from mine x
    join phone_links o on o.instance_id = x.id and o.linking = 'held' and o.unlinked_at is null
    cross join lateral (
        -- In this order, so that each queue is a walk of its part of an index.
        select count(*) as count
        from (
            select from message_queue q
            where q.instance_id = x.id and q.status <> 'failed'
            order by q.sequence_number
        ) listed
    ) waiting
    where x.hold_until > now() and x.held_by_linking
    union all
    select 'queue_stalled', h.id, h.due_at, null, 1 from heads h
    union all
    select 'queue_nearly_full', x.id, null, null, waiting.count
    from mine x
    -- Messages are numbered in turn, so that the oldest one bounds how many wait: rows are counted
    -- only where that is too many.
    cross join lateral (
        select count(*) as count from message_queue q
        where q.instance_id = x.id and q.status <> 'failed'
            and x.next_sequence - 0.9 * %(max_waiting)s::bigint >= (
                select q.sequence_number from message_queue q
                where q.instance_id = x.id and q.status <> 'failed'
                order by q.sequence_number
                limit 1
            )
    ) waiting
    where %(max_waiting)s::bigint > 0 and x.next_sequence > 0.9 * %(max_waiting)s::bigint
        and waiting.count >= 0.9 * %(max_waiting)s::bigint
    union all
    select 'messages_failed', x.id, min(q.updated_at), null, count(*)
    from mine x
    join message_queue q
        on q.instance_id = x.id and q.status = 'failed' and q.updated_at > now() - interval '1 hour'
    group by x.id
    union all
    select 'dead_letters', x.id, min(d.died_at), null, count(*)
    from mine x
    join webhook_dead_letters d on d.instance_id = x.id and d.status in ('pending', 'failed')
    group by x.id
    union all
    select 'webhook_failing', x.id, min(w.failing_since), null, sum(w.pending)
    from mine x
    join delivery_queues w on w.instance_id = x.id and w.due_at is not null
    where w.failing_since < now() - interval '2 minutes'
    group by x.id
    union all
    select 'no_webhook', x.id, x.created_at, null, 1
    from mine x
    where x.received_callback_url is null
        and not exists (select from webhooks f where f.instance_id = x.id and f.enabled)
    union all
    select 'trial_ended', x.id, x.trial_ends_at, null, 1
    from mine x
    where not x.subscribed and x.trial_ends_at <= now()
), ranked as (
    -- The oldest of each kind.
    select k.*, count(*) over (partition by k.kind) as of_kind,
           row_number() over (partition by k.kind order by k.since nulls last, k.id) as place
    from found k
)
select k.kind, k.id as instance_id, x.name as instance_name, x.account_id, a.name as account_name,
       k.since, k.until, k.count, k.of_kind
from ranked k
join mine x on x.id = k.id
join accounts a on a.id = x.account_id
where k.place <= %(max_each)s::int
order by k.kind, k.place;

-- name: list_nodes
-- The nodes with their leases; one that expired is shown until its name is deleted.
select n.id, n.internal_address, n.started_at, n.expires_at, n.expires_at > now() as is_live,
       case when n.described_life = n.life then n.role end as role,
       case when n.described_life = n.life then n.version end as version,
       (select count(*) from instance_leases e where e.node_id = n.id) as leases
from nodes n
order by n.id;

-- name: read_database_state
-- Of the database that this node uses.
select current_setting('server_version') as version,
       pg_database_size(current_database()) as size_bytes,
       current_setting('max_connections')::int as max_connections,
       (select count(*) from pg_stat_activity where backend_type = 'client backend') as connections,
       pg_is_in_recovery() or current_setting('default_transaction_read_only') = 'on' as is_read_only,
       (
           select count(*) from pg_stat_replication
       ) as replicas,
       (select max(number) from schema_migrations) as migration,
       (select count(*) from schema_migrations) as migrations,
       (
           select count(*) from instances i
           where i.wanted and not exists (
               select from instance_leases e
               join nodes n on n.id = e.node_id and n.expires_at > now()
               where e.instance_id = i.id
           )
       ) as instances_without_node;

-- name: count_instances_of_providers
select i.provider, count(*) as instances from instances i group by 1;

-- name: search_accounts
-- The accounts with this text in their name or id, by name; `of_all` is how many there are.
select a.id, a.name, a.created_at,
       (select count(*) from instances i where i.account_id = a.id) as instances,
       (
           select count(*) from instances i
           join instance_connections c on c.instance_id = i.id and c.state = 'connected'
           where i.account_id = a.id
       ) as connected,
       (select count(*) from users u where u.account_id = a.id) as users,
       count(*) over () as of_all
from accounts a
where strpos(lower(a.name), lower(%(text)s::text)) > 0 or strpos(lower(a.id), lower(%(text)s::text)) > 0
order by lower(a.name), a.id
limit %(limit)s::int offset %(offset)s::bigint;
