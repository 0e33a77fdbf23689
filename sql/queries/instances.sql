-- Aliases: a account, b stored base URL, c connection, d node, f feature settings, i instance, l lease, m number of messages in one
-- queue, n queue of an instance, q queued message, s callback settings or state of messages.

-- name: find_instance
select i.*, a.client_token_hash, a.client_token_required, a.allowed_addresses::text[] as allowed_addresses,
       a.refuse_opted_out, c.id as connection_id, c.settings_ciphertext, c.settings_key_id,
       s.history_sync_url, s.proxy_url,
       coalesce(s.message_filters, '{}') as message_filters,
       coalesce(s.callback_type_filters, '{}') as callback_type_filters,
       coalesce(
           (select f.settings from feature_settings f where f.account_id = a.id and f.instance_id = ''),
           '{}'
       ) || coalesce(
           (select f.settings from feature_settings f where f.account_id = a.id and f.instance_id = i.id),
           '{}'
       ) as own_settings
from instances i
join accounts a on a.id = i.account_id
left join instance_connections c on c.instance_id = i.id
left join callback_settings s on s.instance_id = i.id
where i.id = %(id)s::text;

-- name: read_feature_settings
-- The account's own and, with an instance of the account, the instance's own.
select f.instance_id, f.settings
from feature_settings f
where f.account_id = %(account_id)s::text and f.instance_id in ('', %(instance_id)s::text);

-- name: change_feature_settings
-- Sets keys and removes others; an instance of another account is not changed.
with changed as (
    -- Stores the settings.
    insert into feature_settings as f (account_id, instance_id, settings)
    select a.id, %(instance_id)s::text, %(settings)s::jsonb
    from accounts a
    where a.id = %(account_id)s::text and (
        %(instance_id)s::text = '' or exists (
            select 1 from instances i where i.id = %(instance_id)s::text and i.account_id = a.id
        )
    )
    on conflict (account_id, instance_id) do update
    set settings = (f.settings - %(removed)s::text[]) || excluded.settings
    returning f.account_id, f.instance_id
)
select count(pg_notify('instance_changed', i.id)) + (
    -- Streams that the account's Client-Token opened are checked again.
    select count(pg_notify('account_changed', f.account_id)) from changed f where f.instance_id = ''
) as count
from changed f
join instances i on i.account_id = f.account_id and f.instance_id in ('', i.id);

-- name: list_instances_named
-- The ids of an account's instances that have this id or name, the one with this id first. A caller
-- who may know of some instances only finds no other; an empty list sets no limit.
select i.id
from instances i
where i.account_id = %(account_id)s::text and (i.name = %(named)s::text or i.id = %(named)s::text)
    and (%(among)s::text[] = '{}' or i.id = any(%(among)s::text[]))
order by i.id = %(named)s::text desc, i.created_at, i.id
limit %(max_count)s::int;

-- name: find_initial_data_address
select url from initial_data_webhooks where instance_id = %(id)s::text;

-- name: find_demo
select id from instances where demo limit 1;

-- name: add_account
insert into accounts (
    id, name, client_token_hash, client_token_required, partner_token_hash, allowed_addresses
)
values (
    %(id)s::text, %(name)s::text, %(client_token_hash)s::bytea, %(client_token_required)s::boolean,
    %(partner_token_hash)s::bytea, %(allowed_addresses)s::text[]::cidr[]
);

-- name: lock_account_name
-- The transaction owns this lock until its commit. Where two create an account of one name, the
-- second waits, and then finds the account of the first.
select pg_advisory_xact_lock(hashtext('account name'), hashtext(lower(%(name)s::text)));

-- name: find_account_by_name
select id, name from accounts where lower(name) = lower(%(name)s::text) limit 1;

-- name: delete_account
delete from accounts where id = %(account_id)s::text;

-- name: lock_account
-- A transaction that counts an account's instances and adds one owns this lock until its commit, so
-- two of them cannot exceed the limit together.
select allowed_instances from accounts where id = %(account_id)s::text for no key update;

-- name: lock_instance_id
-- Makes creation and removal of one instance id wait for each other, also where no row exists.
select pg_advisory_xact_lock(hashtext('instance id'), hashtext(%(id)s::text));

-- name: is_being_removed
select instance_id as id from instance_removals where instance_id = %(id)s::text;

-- name: add_instance
insert into instances (
    id, account_id, name, token_hash, token_ciphertext, token_key_id, provider, provider_settings, demo,
    session_name, is_device, business_device,
    received_callback_url, delivery_callback_url, message_status_callback_url, connected_callback_url,
    disconnected_callback_url, presence_chat_callback_url, notify_sent_by_me,
    call_reject_auto, call_reject_message, auto_read_message, auto_read_status,
    disable_enqueue_when_disconnected, trial_ends_at, subscribed
)
values (
    %(id)s::text, %(account_id)s::text, %(name)s::text, %(token_hash)s::bytea,
    %(token_ciphertext)s::bytea, %(token_key_id)s::text, %(provider)s::text,
    %(provider_settings)s::jsonb, %(demo)s::boolean,
    %(session_name)s::text, %(is_device)s::boolean, %(business_device)s::boolean,
    %(received_callback_url)s::text, %(delivery_callback_url)s::text,
    %(message_status_callback_url)s::text, %(connected_callback_url)s::text,
    %(disconnected_callback_url)s::text, %(presence_chat_callback_url)s::text,
    %(notify_sent_by_me)s::boolean, %(call_reject_auto)s::boolean, %(call_reject_message)s::text,
    %(auto_read_message)s::boolean, %(auto_read_status)s::boolean,
    %(disable_enqueue_when_disconnected)s::boolean, %(trial_ends_at)s::timestamptz,
    %(subscribed)s::boolean
);

-- name: find_account
-- Finds an account by its partner token or by its Client-Token.
select a.id, a.name, a.allowed_addresses::text[] as allowed_addresses, a.client_token_required,
       a.created_at, coalesce(a.partner_token_hash = %(token_hash)s::bytea, false) as by_partner_token,
       %(token_hash)s::bytea as token_hash,
       coalesce((
           select (f.settings ->> 'client_token_manages')::boolean from feature_settings f
           where f.account_id = a.id and f.instance_id = ''
       ), true) as client_token_manages
from accounts a
where a.partner_token_hash = %(token_hash)s::bytea or a.client_token_hash = %(token_hash)s::bytea
limit 1;

-- name: find_account_by_id
select a.id, a.name, a.allowed_addresses::text[] as allowed_addresses, a.client_token_required,
       a.created_at, false as by_partner_token
from accounts a
where a.id = %(account_id)s::text;

-- name: count_instances
-- Stops counting at max_count: the caller needs no higher number.
select count(*) as count
from (
    select 1 from instances where account_id = %(account_id)s::text limit %(max_count)s::int
) counted;

-- name: count_used
-- What an account has made and what waits to be sent.
select count(i.id) as instances, coalesce(max(a.allowed_instances), 0) as allowed_instances,
       coalesce(sum(m.waiting), 0)::bigint as waiting,
       coalesce(max(m.waiting), 0) as longest_queue
from accounts a
left join instances i on i.account_id = a.id
left join lateral (
    -- The length of one queue.
    select count(*) as waiting from message_queue
    where instance_id = i.id and status <> 'failed'
) m on true
where a.id = %(account_id)s::text;

-- name: count_queues
-- The messages in each queue of an account, or in that of one instance, by the state that callers
-- see. `connected` is false where no live node owns the lease.
select i.id as instance_id, i.name as instance_name, coalesce(n.paused, false) as paused,
       coalesce(n.connected, false) and exists (
           select 1
           from instance_leases l
           join nodes d on d.id = l.node_id and d.expires_at > now()
           where l.instance_id = i.id
       ) as connected,
       coalesce(m.by_status, '{}'::jsonb) as by_status
from instances i
left join instance_lines n on n.instance_id = i.id
left join lateral (
    -- The states of one queue.
    select jsonb_object_agg(s.status, s.count) as by_status
    from (
        select reported_status_v1(q) as status, count(*) as count
        from message_queue q
        where q.instance_id = i.id
        group by 1
    ) s
) m on true
where i.account_id = %(account_id)s::text
    and (%(instance_id)s::text is null or i.id = %(instance_id)s::text)
order by i.created_at, i.id;

-- name: count_connected
-- An account's instances, and those whose session a live node has connected.
select count(i.id) as instances,
       count(i.id) filter (where n.connected and d.id is not null) as connected
from instances i
left join instance_lines n on n.instance_id = i.id
left join instance_leases l on l.instance_id = i.id
left join nodes d on d.id = l.node_id and d.expires_at > now()
where i.account_id = %(account_id)s::text;

-- name: list_accounts
select a.id, a.name, a.allowed_addresses::text[] as allowed_addresses, a.client_token_required,
       a.created_at, (select count(*) from instances i where i.account_id = a.id) as instances
from accounts a
order by a.created_at, a.id;

-- name: allow_addresses
update accounts set allowed_addresses = %(allowed_addresses)s::text[]::cidr[]
where id = %(account_id)s::text;

-- name: list_instances
select i.*, a.client_token_hash, a.client_token_required, a.allowed_addresses::text[] as allowed_addresses,
       a.refuse_opted_out,
       coalesce(c.state = 'connected', false) as connected
from instances i
join accounts a on a.id = i.account_id
left join instance_connections c on c.instance_id = i.id
where (%(account_id)s::text is null or i.account_id = %(account_id)s::text)
    and (%(mobile)s::boolean is null or i.is_device = %(mobile)s::boolean)
    and (
        strpos(lower(i.name), lower(%(text)s::text)) > 0
        or strpos(lower(i.id), lower(%(text)s::text)) > 0
    )
    and (
        %(connected)s::boolean is null
        or coalesce(c.state = 'connected', false) = %(connected)s::boolean
    )
order by i.created_at, i.id
limit %(limit)s::int offset %(offset)s::bigint;

-- name: count_listed_instances
select count(*) as count
from instances i
left join instance_connections c on c.instance_id = i.id
where (%(account_id)s::text is null or i.account_id = %(account_id)s::text)
    and (%(mobile)s::boolean is null or i.is_device = %(mobile)s::boolean)
    and (
        strpos(lower(i.name), lower(%(text)s::text)) > 0
        or strpos(lower(i.id), lower(%(text)s::text)) > 0
    )
    and (
        %(connected)s::boolean is null
        or coalesce(c.state = 'connected', false) = %(connected)s::boolean
    );

-- name: subscribe
update instances
set subscribed = true, canceled_at = null, with_calls = with_calls or %(with_calls)s::boolean
where id = %(id)s::text;

-- name: add_calls
update instances set with_calls = true
where id = %(id)s::text and subscribed;

-- name: cancel_subscription
update instances
set subscribed = false, canceled_at = now(),
    trial_ends_at = now() + make_interval(secs => %(seconds)s::double precision)
where id = %(id)s::text and subscribed;

-- name: list_keys_in_use
-- Returns each key that encrypts tokens, proxies or settings of connections, with their number, one ciphertext, and the names
-- and ids of the first three instances.
select key_id as token_key_id, count(distinct id) as tokens,
       (array_agg(ciphertext order by id))[1] as ciphertext,
       (array_agg(distinct name || ' (' || id || ')'))[1:3] as instances
from (
    select id, name, token_key_id as key_id, token_ciphertext as ciphertext from instances
    union all
    select id, name, proxy_key_id, proxy_ciphertext from instances where proxy_key_id is not null
    union all
    select i.id, i.name, c.settings_key_id, c.settings_ciphertext
    from instance_connections c
    join instances i on i.id = c.owner_instance_id
    where c.settings_key_id is not null
) sealed
group by key_id;

-- name: count_instances_by_provider
select provider, count(*) as instances from instances group by provider order by provider;

-- name: renew_tokens
update accounts
set client_token_hash = %(client_token_hash)s::bytea, partner_token_hash = %(partner_token_hash)s::bytea
where id = %(account_id)s::text;

-- name: rotate_token
-- The trigger on instances makes every node drop the token before.
update instances
set token_hash = %(token_hash)s::bytea, token_ciphertext = %(token_ciphertext)s::bytea,
    token_key_id = %(token_key_id)s::text
where id = %(id)s::text and account_id = %(account_id)s::text;

-- name: find_connection
-- `connected` is the last state that the session reported; it is false where no live node owns the
-- lease, because no message can be sent then.
select c.state, c.reason, c.phone, n.connected and exists (
        select 1
        from instance_leases l
        join nodes d on d.id = l.node_id and d.expires_at > now()
        where l.instance_id = n.instance_id
    ) as connected
from instance_lines n
left join instance_connections c on c.instance_id = n.instance_id
where n.instance_id = %(instance_id)s::text;

-- name: rename_instance
update instances set name = %(name)s::text where id = %(id)s::text;

-- name: set_switches
-- A null parameter leaves its column unchanged.
update instances
set auto_read_message = coalesce(%(auto_read_message)s::boolean, auto_read_message),
    auto_read_status = coalesce(%(auto_read_status)s::boolean, auto_read_status),
    call_reject_auto = coalesce(%(call_reject_auto)s::boolean, call_reject_auto),
    call_reject_message = coalesce(%(call_reject_message)s::text, call_reject_message),
    disable_enqueue_when_disconnected = coalesce(
        %(disable_enqueue_when_disconnected)s::boolean, disable_enqueue_when_disconnected
    )
where id = %(id)s::text;

-- name: note_base_url
-- A wider reach replaces the stored address at once, an equal reach after change_seconds, and a
-- narrower one after narrowing_seconds without use. The same address is refreshed after
-- refresh_seconds. The lock on the instance prevents its deletion in between. Returns the address
-- that is stored now.
with noted as (
    -- Stores the address, where it may replace the stored one.
    insert into instance_base_urls as b (instance_id, base_url, reach)
    select i.id, %(base_url)s::text, %(reach)s::smallint
    from instances i
    where i.id = %(instance_id)s::text
    for key share
    on conflict (instance_id) do update
    set base_url = excluded.base_url, reach = excluded.reach, noted_at = now()
    where excluded.reach > b.reach
        or b.noted_at < now() - make_interval(secs => case
            when excluded.reach < b.reach then %(narrowing_seconds)s::double precision
            when excluded.base_url = b.base_url then %(refresh_seconds)s::double precision
            else %(change_seconds)s::double precision
        end)
    returning base_url, reach
)
select base_url, reach from noted
union all
select base_url, reach from instance_base_urls
where instance_id = %(instance_id)s::text and not exists (select 1 from noted);

-- name: find_base_url
select base_url, reach from instance_base_urls where instance_id = %(instance_id)s::text;

-- name: issue_event_ticket
-- Old tickets go with each new one. The ticket is worth as much as the token that asks for it.
with old as (
    -- Deletes what was not used in time.
    delete from event_tickets where ticket_hash = any(array(
        select ticket_hash from event_tickets where expires_at < now() limit 100
    ))
)
insert into event_tickets (ticket_hash, account_id, token_hash, expires_at)
select %(ticket_hash)s::bytea, a.id, %(token_hash)s::bytea,
       now() + make_interval(secs => %(seconds)s::double precision)
from accounts a where a.id = %(account_id)s::text
returning expires_at;

-- name: redeem_event_ticket
-- A ticket is good for one connection.
with used as (
    -- Deletes the ticket.
    delete from event_tickets where ticket_hash = %(ticket_hash)s::bytea
    returning token_hash, expires_at
)
select token_hash from used where expires_at > now();
