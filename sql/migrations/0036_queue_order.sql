-- Messages that let other chats pass, and the order of each queue. (compatible with: 0001)

-- `parked`: waits for its file or its next attempt, and other chats pass. `behind`: waits behind a
-- parked message of its chat. Nodes of the previous version neither write nor claim these states: a
-- change of a lease's epoch makes such rows pending again (unpark_messages_v1).
alter table message_queue
    add column parked_for text,
    drop constraint known_status,
    add constraint known_status
        check (status in ('behind', 'failed', 'parked', 'pending', 'processing', 'scheduled')),
    add constraint known_reason_to_park check (parked_for in ('file', 'retry')),
    add constraint parked_for_a_reason check ((status = 'parked') = (parked_for is not null));
comment on column message_queue.parked_for is
    'What a parked message waits for; it is due at `due_at`, or earlier if its file has come.';

create index message_queue_parked on message_queue (instance_id, phone, id) where status = 'parked';
create index message_queue_behind on message_queue (instance_id, phone, priority, position) where status = 'behind';

create index message_queue_expiry on message_queue (expires_at)
    where expires_at is not null and status in ('behind', 'parked', 'pending', 'scheduled');
drop index message_queue_expiring;

-- Not a column of `instances`: nodes of the previous version read all of its columns.
alter table instance_lines
    add column queue_order text,
    add constraint known_order check (queue_order in ('chat', 'strict'));
comment on column instance_lines.queue_order is 'Null: the service''s own order.';
