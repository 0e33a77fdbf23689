-- How long messages may wait and how many leave in a day, why a line is held, what became of each message. (compatible with: 0012)

alter table instances
    add column daily_limit integer,
    add column warm_up_days integer,
    add column warm_up_from timestamptz,
    add constraint daily_limit_is_a_number check (daily_limit >= 0),
    add constraint warm_up_is_a_number check (warm_up_days >= 0);
comment on column instances.daily_limit is 'Messages per day (UTC); 0 is no limit, null the service''s own.';
comment on column instances.warm_up_from is 'From then on the daily limit grows to its full height; null is the making of the instance.';

alter table instance_lines
    add column front_position bigint not null default 0,
    add column hold_kind text,
    add constraint known_hold_kind check (hold_kind in ('daily_limit', 'restricted'));
comment on column instance_lines.front_position is 'Where the last message moved to the front went; sequence numbers begin at 1.';

alter table message_queue add column expires_at timestamptz;
create index message_queue_expiring on message_queue (expires_at)
    where expires_at is not null and status in ('pending', 'scheduled');

alter table messages
    add column failed_at timestamptz,
    add column error text;
create index messages_in_time on messages (instance_id, recorded_at, message_id);

-- Every message wherever it is, as callers see it; what is settled changes no more by itself.
create view message_states as
select m.instance_id, m.message_id, m.zaap_id, m.phone, m.sender, m.from_me, m.type, m.payload,
       case
           when m.status <> 'sent' then m.status
           when m.played_at is not null then 'played'
           when m.read_at is not null then 'read'
           when m.delivered_at is not null then 'delivered'
           else 'sent'
       end as status,
       m.attempts, m.error, m.recorded_at, m.created_at, m.attempt_started_at, m.sent_at,
       m.delivered_at, m.read_at, m.played_at, m.failed_at, m.sequence_number,
       null::smallint as priority, null::smallint as max_attempts,
       null::timestamptz as due_at, null::timestamptz as expires_at,
       true as settled, false as in_queue
from messages m
union all
select q.instance_id, q.message_id, q.zaap_id, q.phone, null, true, q.type, q.payload,
       shown_status(q),
       q.attempts, q.last_error, q.updated_at, q.created_at, q.attempt_started_at, null,
       null, null, null, case when q.status = 'failed' then q.updated_at end, q.sequence_number,
       q.priority, q.max_attempts, q.due_at, q.expires_at,
       q.status = 'failed', true
from message_queue q;
