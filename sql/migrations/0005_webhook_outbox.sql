-- Callbacks that wait to be posted. (compatible with: 0001)

-- One row for each chat that has callbacks waiting: it is locked to append to them and to take
-- them, so that they are numbered in the order in which their causes are committed, and one at
-- most is on its way. A dead receiver costs one row here, however many wait behind it.
create table webhook_lines (
    instance_id   text not null,
    chat          text not null,
    pending       integer not null,
    next_position bigint not null,
    due_at        timestamptz,
    claim_id      uuid,
    claimed_by    text,
    attempts      smallint not null default 0,
    last_error    text,
    primary key (instance_id, chat),
    constraint due_when_pending check ((due_at is null) = (pending = 0))
) with (fillfactor = 70);
create index webhook_lines_due on webhook_lines (due_at) where due_at is not null;
create index webhook_lines_claimed on webhook_lines (claimed_by) where claimed_by is not null;
create index webhook_lines_empty on webhook_lines (instance_id, chat) where due_at is null;

create table webhook_outbox (
    instance_id text not null,
    chat        text not null,
    position    bigint not null,
    id          uuid not null,
    type        text not null,
    body        text not null,
    created_at  timestamptz not null default now(),
    primary key (instance_id, chat, position)
);

-- Given up after the last attempt, or because the receiver answered 410.
create table webhook_dead_letters (
    instance_id text not null,
    id          uuid not null,
    chat        text not null,
    type        text not null,
    body        text not null,
    attempts    smallint not null,
    last_error  text not null,
    created_at  timestamptz not null,
    died_at     timestamptz not null default now(),
    primary key (instance_id, id)
);

-- Where an instance wants callbacks of a type; null where it wants none.
create function callback_url(i instances, type text) returns text language sql immutable as $$
    select case type
        when 'ConnectedCallback' then i.connected_callback_url
        when 'DeliveryCallback' then i.delivery_callback_url
        when 'DisconnectedCallback' then i.disconnected_callback_url
        when 'MessageStatusCallback' then i.message_status_callback_url
        when 'PresenceChatCallback' then i.presence_chat_callback_url
        when 'ReceivedCallback' then i.received_callback_url
    end
$$;

-- Appends callbacks to their chats, in the caller's transaction; what nobody wants is left out.
-- Returns how many were appended.
create function tell(
    instance_ids text[], chats text[], types text[], ids uuid[], bodies text[]
) returns bigint language sql as $$
    with wanted as (
        select c.*, row_number() over (partition by c.instance_id, c.chat order by c.turn) as nth
        from unnest(instance_ids, chats, types, ids, bodies) with ordinality
            as c (instance_id, chat, type, id, body, turn)
        join instances i on i.id = c.instance_id
        where callback_url(i, c.type) is not null
    ), line as (
        insert into webhook_lines as w (instance_id, chat, pending, next_position, due_at)
        select instance_id, chat, count(*), 1 + count(*), now()
        from wanted
        group by instance_id, chat
        order by instance_id, chat
        on conflict (instance_id, chat) do update
        set pending = w.pending + excluded.pending,
            next_position = w.next_position + excluded.pending,
            due_at = coalesce(w.due_at, now())
        returning w.instance_id, w.chat, w.next_position
    ), added as (
        insert into webhook_outbox (instance_id, chat, position, id, type, body)
        select c.instance_id, c.chat,
               l.next_position - 1
                   - (select count(*) from wanted o where o.instance_id = c.instance_id and o.chat = c.chat)
                   + c.nth,
               c.id, c.type, c.body
        from wanted c
        join line l on l.instance_id = c.instance_id and l.chat = c.chat
        returning 1
    )
    select count(*) from added
$$;
