-- What the sandbox and the inbox keep ages out; chats that history brings. (compatible with: 0001)

create index inbox_failed on inbox (taken_at) where error is not null;

-- Marks that are there already begin to age now.
alter table sandbox.marks add column at timestamptz not null default now();
create index marks_by_age on sandbox.marks (at);
create index sent_by_age on sandbox.sent (at);

alter table chats add column name text;
comment on column chats.name is 'As the phone has it.';

-- Every message that enters history moves its chat, in the same transaction; those from before
-- the linking count as unread only as far as the phone says so.
create or replace function note_chats() returns trigger language plpgsql as $$
declare
    counts boolean := current_setting('gateway.counts_unread', true) is distinct from 'off';
begin
    insert into chats as c (instance_id, phone, unread, last_message_at)
    select f.instance_id, f.phone,
           count(*) filter (where counts and not f.from_me and f.type <> 'notification'),
           max(coalesce(f.sent_at, f.created_at))
    from fresh f
    where f.status in ('sent', 'received') and f.phone <> 'status@broadcast'
    group by f.instance_id, f.phone
    order by f.instance_id, f.phone
    on conflict (instance_id, phone) do update
    set unread = c.unread + excluded.unread,
        last_message_at = greatest(c.last_message_at, excluded.last_message_at),
        hidden = false;
    return null;
end
$$;
